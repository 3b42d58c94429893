import { expect, test } from "vitest";
import { junitCase } from "../../formats/junit_write.ts";
import { readBack } from "../helpers/formats.ts";

const records = async (input: string, size?: number) => (await readBack(input, { size })).records;

test("JUnit: expected failures of pytest and Node are distinguished", async () => {
  const xml = `<testsuites><testsuite name="s">
<testcase name="a"><skipped type="pytest.xfail" message="known"/></testcase>
<testcase name="b"><skipped type="pytest.skip" message="off">f.py:1: off</skipped></testcase>
<testcase name="c"><skipped type="pytest.xfail" message="known"/><error message="teardown">E</error></testcase>
<testcase name="d"><skipped type="todo" message="later"/><failure type="e" message="as told">stack</failure></testcase>
<testcase name="e"><skipped type="todo" message="later"/></testcase>
<testcase name="f"><skipped message="x"/><failure>bad</failure></testcase>
</testsuite></testsuites>`;
  expect(await records(xml, 7)).toEqual([
    { case: "s.a", outcome: "skipped", word: "xfailed", message: "pytest.xfail: known" },
    { case: "s.b", outcome: "skipped", message: "pytest.skip: off\nf.py:1: off" },
    { case: "s.c", outcome: "error", message: "teardown\nE" },
    { case: "s.d", outcome: "xfailed", message: "e: as told\nstack" },
    { case: "s.e", outcome: "skipped", message: "todo: later" },
    { case: "s.f", outcome: "failed", message: "bad" },
  ]);
});

test("JUnit: a name given twice is one name, and Node's suites are part of it", async () => {
  const xml = (cases: string, time = "") =>
    `<testsuites><testsuite name="o"${time}><testsuite name="i">${cases}</testsuite></testsuite></testsuites>`;
  const names = async (text: string) => (await records(text)).map((record) => record.case);
  expect(
    await names(xml(
      `<testcase classname="t" name="t" status="run"/><testcase classname="a b" name="a b"/>
       <testcase classname="T" name="T" status="run" result="completed"/><testcase classname="t" name="t"/>
       <testcase classname="test" name="x"/>`,
    )),
  ).toEqual(["t", "a b", "T.T", "t.t", "o.i.x"]);
  // Another runner's class may be named test.
  expect(await names(xml('<testcase classname="test" name="x"/>', ' timestamp="2024-01-01T00:00:00"')))
    .toEqual(["test.x"]);
  expect(await names('<testsuites><testcase classname="test" name="x"/></testsuites>')).toEqual(["x"]);
  for (const name of ["a b.a b", "a.a", "a b.c", "t.t"]) {
    expect(await records(`<testsuite>${junitCase({ case: name, outcome: "passed" })}</testsuite>`)).toEqual([
      { case: name, outcome: "passed" },
    ]);
  }
});

test("JUnit: a message that the text begins with is kept once", async () => {
  const failures = (inner: string) =>
    records(`<testsuite><testcase name="a">${inner}</testcase></testsuite>`, 11);
  expect(
    await failures(
      '<failure message="f:1&#10;bad" type="">f:1\nbad</failure><failure message="m">M</failure>',
    ),
  )
    .toEqual([{ case: "a", outcome: "failed", message: "f:1\nbad\nm\nM" }]);
  expect(await failures('<failure type="E" message="bad">\nE: bad\n  at x</failure>')).toEqual([
    { case: "a", outcome: "failed", message: "E: bad\n  at x" },
  ]);
  expect(await failures('<failure message="bad">at x\nbad</failure>')).toEqual([
    { case: "a", outcome: "failed", message: "bad\nat x\nbad" },
  ]);
  expect(await failures('<failure message="only"/>')).toEqual([
    { case: "a", outcome: "failed", message: "only" },
  ]);
});

test("numbers that a test recorded as properties are samples, in JUnit and GoogleTest's JSON", async () => {
  const xml =
    `<testsuite name="s"><properties><property name="seed" value="7"/></properties><testcase name="a">
<properties><property name="bytes" value="12"/><property name="ratio" value="-2.5e-1"/>
<property name="owner" value="x 1"/><property name="hex" value="0x10"/><property name="none" value=""/></properties>
</testcase></testsuite>`;
  const samples = [{ metric: "bytes", value: 12 }, { metric: "ratio", value: -0.25 }];
  expect(await records(xml)).toEqual([{ case: "s.a", outcome: "passed", samples }]);
  const json = {
    testsuites: [{
      name: "s",
      testsuite: [{
        name: "a",
        classname: "s",
        file: "1",
        line: 5,
        status: "RUN",
        time: "0.5s",
        value_param: "3",
        bytes: "12",
        ratio: "-2.5e-1",
        owner: "x 1",
      }],
    }],
  };
  expect(await records(JSON.stringify(json))).toEqual([
    { case: "s.a", outcome: "passed", durationMs: 500, samples },
  ]);
});

test("GoogleTest JSON: UTF-8 escaped byte by byte is decoded", async () => {
  const json = (name: string, failure: string) =>
    JSON.stringify({ testsuites: [{ name: "s", testsuite: [{ name, failures: [{ failure }] }] }] });
  expect(await records(json("T\u00c3\u00a9", "\u00e5\u0090\u008d \u00f0\u009f\u0098\u0080"))).toEqual([
    { case: "s.Té", outcome: "failed", message: "名 😀" },
  ]);
  expect(await records(json("Té", "caf\u00e9 \u00c3\u00a9 名"))).toEqual([
    { case: "s.Té", outcome: "failed", message: "café Ã© 名" },
  ]);
});

test("CTest: a test's number of processors is not a sample", async () => {
  const value = (name: string, text: string) =>
    `<NamedMeasurement type="numeric/double" name="${name}"><Value>${text}</Value></NamedMeasurement>`;
  const xml = `<Site><Testing><Test Status="passed"><Name>a</Name><Results>${value("Processors", "4")}${
    value("score", "1.5")
  }</Results></Test></Testing></Site>`;
  expect(await records(xml)).toEqual([
    { case: "a", outcome: "passed", samples: [{ metric: "score", value: 1.5 }] },
  ]);
});

test("TAP: failures of a subtest, durations, Deno's blocks, and comments after a trailing plan", async () => {
  const tap = `TAP version 14
# Subtest: outer
    ok 1 - fine
      ---
      told: not
      ...
    not ok 2 - inner
      ---
      error: why
      ...
    #   got: 1
    # Subtest: deeper
        not ok 1 - later # TODO soon
        # not of a failure
        1..1
    not ok 3 - last
    1..3
not ok 1 - outer
  ---
  duration_ms: 12.5
  type: suite
  ...
ok 2 - timed
  ---
  duration_ms: 0.25
  ...
not ok 3 - deno
  ---
  {"message":"line 1\\nline 2","severity":"fail"}
  ...
not ok 4 - odd
  ---
  {"message":1}
  ...
1..4
# fail 3
`;
  for (const size of [3, 65_536]) {
    expect(await records(tap, size)).toEqual([
      {
        case: "outer",
        outcome: "failed",
        durationMs: 12.5,
        message: "not ok 2 - inner\n  error: why\n#   got: 1\nnot ok 3 - last\ntype: suite",
      },
      { case: "timed", outcome: "passed", durationMs: 0.25 },
      { case: "deno", outcome: "failed", message: "line 1\nline 2" },
      { case: "odd", outcome: "failed", message: '{"message":1}' },
    ]);
  }
});

test("TAP: a log of prove has a plan for each script, whose name is a prefix of its points", async () => {
  const log = (time: string, ok: string) =>
    `${time}t/a.t ..... \n1..2\nok 1 - same\nok 2 - other\n${ok}\n${time}t/b.t .. skipped: not here
${time}t/c.t ..... \n1..3\nnot ok 1 - same\nok 2\nDubious, test returned 255 (wstat 65280, 0xff00)\nFailed 2/3 subtests
${time}t/d.t ..... \nok\n1..1\nok\n${time}x/e .. \nok 1 - lives\nDubious, test returned 2 (wstat 512, 0x200)
Bailout called.  Further testing stopped:  the disk is full

Test Summary Report
-------------------
Files=5, Tests=6,  0 wallclock secs\nResult: FAIL\n`;
  for (const text of [log("", "ok"), log("[23:10:14] ", "ok       38 ms ( 0.00 usr  0.00 sys)")]) {
    const read = await readBack(text, { size: 5 });
    expect(read.records.map((record) => `${record.case} ${record.outcome}`)).toEqual([
      "t/a.t: same passed",
      "t/a.t: other passed",
      "t/c.t: same failed",
      "t/c.t: test 2 passed",
      "t/d.t: test 1 passed",
      "x/e: lives passed",
    ]);
    expect(read.missing).toEqual(["t/c.t: test 3"]);
    expect(read.notes).toEqual([
      "line 6: all of t/b.t was skipped: not here",
      "line 11: t/c.t: Dubious, test returned 255 (wstat 65280, 0xff00)",
      "line 19: x/e: Dubious, test returned 2 (wstat 512, 0x200)",
      "line 20: Bail out! the disk is full",
      "x/e: it has no plan: it may be truncated",
    ]);
  }
  // The number of missing points is bounded for any number of scripts and plans.
  const large = await readBack("a.t ..\n1..1000000\nok 1\nb.t ..\n1..1000000\nok 9\n");
  expect(large.missing).toHaveLength(1_000_000);
  expect(large.missing.at(-1)).toBe("b.t: test 1");
  expect(large.notes).toEqual(["b.t: its plan of 1000000 points is checked only up to 1"]);
  // A program's output is not a script line of prove.
  const words = "Loading data ...\nconnecting ..\nok 1 - a\nreading x/y.t ...\nok 2 - b\n1..2\n";
  expect((await records(words)).map((record) => record.case)).toEqual(["a", "b"]);
});
