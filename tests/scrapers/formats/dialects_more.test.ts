import { expect, test } from "vitest";
import { junitCase } from "../../../scrapers/formats/junit_write.ts";
import { readBack } from "../../helpers/formats.ts";

const records = async (input: string, size?: number) => (await readBack(input, { size })).records;

test("JUnit: what failed as expected is xfailed, by pytest's and by Node's words for it", async () => {
  const xml = `<testsuites><testsuite name="s">
<testcase name="a"><skipped type="pytest.xfail" message="known"/></testcase>
<testcase name="b"><skipped type="pytest.skip" message="off">f.py:1: off</skipped></testcase>
<testcase name="c"><skipped type="pytest.xfail" message="known"/><error message="teardown">E</error></testcase>
<testcase name="d"><skipped type="todo" message="later"/><failure type="e" message="as told">stack</failure></testcase>
<testcase name="e"><skipped type="todo" message="later"/></testcase>
<testcase name="f"><skipped message="x"/><failure>bad</failure></testcase>
</testsuite></testsuites>`;
  expect(await records(xml, 7)).toEqual([
    { case: "s.a", outcome: "xfailed", message: "pytest.xfail: known" },
    { case: "s.b", outcome: "skipped", message: "pytest.skip: off\nf.py:1: off" },
    { case: "s.c", outcome: "error", message: "teardown\nE" },
    { case: "s.d", outcome: "xfailed", message: "e: as told\nstack" },
    { case: "s.e", outcome: "skipped", message: "todo: later" },
    { case: "s.f", outcome: "failed", message: "bad" },
  ]);
});

test("JUnit: a name that stands twice is one name, and Node's suites are in it", async () => {
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
  // Another runner's file may be named test.
  expect(await names(xml('<testcase classname="test" name="x"/>', ' timestamp="2024-01-01T00:00:00"')))
    .toEqual(["test.x"]);
  expect(await names('<testsuites><testcase classname="test" name="x"/></testsuites>')).toEqual(["test.x"]);
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

test("GoogleTest JSON: bytes of UTF-8 that were escaped one by one are the text they were", async () => {
  const json = (name: string, failure: string) =>
    JSON.stringify({ testsuites: [{ name: "s", testsuite: [{ name, failures: [{ failure }] }] }] });
  expect(await records(json("T\u00c3\u00a9", "\u00e5\u0090\u008d \u00f0\u009f\u0098\u0080"))).toEqual([
    { case: "s.Té", outcome: "failed", message: "名 😀" },
  ]);
  expect(await records(json("Té", "caf\u00e9 \u00c3\u00a9 名"))).toEqual([
    { case: "s.Té", outcome: "failed", message: "café Ã© 名" },
  ]);
});

test("CTest: how many processors a test was given is no sample of it", async () => {
  const value = (name: string, text: string) =>
    `<NamedMeasurement type="numeric/double" name="${name}"><Value>${text}</Value></NamedMeasurement>`;
  const xml = `<Site><Testing><Test Status="passed"><Name>a</Name><Results>${value("Processors", "4")}${
    value("score", "1.5")
  }</Results></Test></Testing></Site>`;
  expect(await records(xml)).toEqual([
    { case: "a", outcome: "passed", samples: [{ metric: "score", value: 1.5 }] },
  ]);
});
