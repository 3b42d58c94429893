import { expect, test } from "vitest";
import { readBack } from "../helpers/formats.ts";

test("a line with a CR or a Unicode line separator is one line", async () => {
  const sum =
    'PASS: a.c dg-regexp 1 was found: "[^\\n\r]+: warning"\nFAIL: b.c \u2028 x\r\nERROR: odd \r end\n';
  const tap = "1..3\nok 1 - a \r b\nnot ok 2 - c \u2029 d # TODO e \r f\nok 3 - g\r\r\n";
  for (const size of [1, 7, 65_536]) {
    const dejagnu = await readBack(sum, { size });
    expect(dejagnu.records.map((record) => record.case)).toEqual([
      'a.c dg-regexp 1 was found: "[^\\n\r]+: warning"',
      "b.c \u2028 x",
    ]);
    expect(dejagnu.notes).toEqual(["line 3: odd \r end"]);
    const points = await readBack(tap, { size });
    expect(points.counts).toEqual({ passed: 2, xfailed: 1 });
    expect(points.records.map((record) => record.case)).toEqual(["a \r b", "c \u2029 d", "g"]);
  }
});

test("DejaGnu: in a list without a schedule, targets after the first are added to names", async () => {
  const list = `		=== gcc tests ===

Running target unix
FAIL: a.c
Running target unix/-m32
FAIL: a.c

		=== gcc: Unexpected fails for rv32 medlow ===
FAIL: a.c
`;
  expect((await readBack(list)).records.map((record) => record.case)).toEqual([
    "a.c",
    "a.c [unix/-m32]",
    "a.c [rv32 medlow]",
  ]);
});

test("logs that only look like results are refused; NULs in a DejaGnu file do not hide its format", async () => {
  for (
    const [name, text] of [["pip.log", "WARNING: running as root\nERROR: no\n"], [
      "u.log",
      "Ran 3 tests\n\nOK\n",
    ]]
  ) {
    await expect(readBack(text!, { name: name! })).rejects.toMatchObject({ code: "UNSUPPORTED_MEDIA_TYPE" });
  }
  await expect(readBack("example.com/a v1.0.0 h1:x=\n", { name: "go.sum" })).rejects.toMatchObject({
    code: "UNSUPPORTED_MEDIA_TYPE",
  });
  const sum = "\t\t=== demo tests ===\n\nspawn \0 x\nPASS: a\nFAIL: b\0\n\t\t=== demo Summary ===\n";
  expect((await readBack(sum)).records.map((record) => record.case)).toEqual(["a", "b\uFFFD"]);
  expect((await readBack("TAP version 14\n# \0\nok 1 - a\n1..1\n")).counts).toEqual({ passed: 1 });
  expect((await readBack("WARNING: program timed out.\nFAIL: a\n")).counts).toEqual({ failed: 1 });
});

test("a line like a DejaGnu heading does not make TAP a DejaGnu file, nor do points make a DejaGnu log TAP", async () => {
  const tap = "1..1\n  === RUN a ===\nPASS: inner\nok 1 - a\n";
  expect((await readBack(tap)).records).toEqual([{ case: "a", outcome: "passed" }]);
  expect((await readBack(`# a\n${tap}`, { name: "a.tap" })).records).toHaveLength(1);
  const log = "ok\nTest run by x on Mon\n\t\t=== demo tests ===\nok 1\nPASS: b\n";
  expect((await readBack(log, { name: "demo.log" })).records).toEqual([{ case: "b", outcome: "passed" }]);
});

test("TAP: only a point's first hash may begin a directive", async () => {
  const { records } = await readBack(`1..6
ok 1 - hash # 12 # TODO no
not ok 2 - # SKIP
not ok 3 # todo x # skip
ok 4 - a\\\\# todo
ok 5 - b # time=3ms
not ok 6 - c \\# todo
`);
  expect(records.map(({ case: name, outcome }) => [name, outcome])).toEqual([
    ["hash # 12 # TODO no", "passed"],
    ["test 2", "skipped"],
    ["test 3", "xfailed"],
    ["a\\# todo", "passed"],
    ["b", "passed"],
    ["c # todo", "failed"],
  ]);
});

test("TAP: plans that do not begin with 1, that list expected failures, or that are invalid", async () => {
  const later = await readBack("TAP version 13\nok 8 a\nok 9 b\nok 11 d\n8..11\n");
  expect([later.missing, later.notes]).toEqual([["test 10"], []]);
  const perl = await readBack("1..3 todo 2 3;\nok 1\nnot ok 2\n");
  expect([perl.counts, perl.missing, perl.notes]).toEqual([{ passed: 1, failed: 1 }, ["test 3"], []]);
  const none = await readBack("100..1\nok 1\n1..1\n", { name: "x.tap" });
  expect([none.missing, none.notes]).toEqual([[], []]);
});

test("NDJSON: a record of many samples is read whole, whatever else is on its first line", async () => {
  const record = {
    case: "a",
    outcome: "passed",
    samples: Array.from({ length: 1000 }, (_, at) => ({ metric: `${at} ${"\\".repeat(190)}`, value: at })),
  };
  const text = `${JSON.stringify(record)}\n{"case":"b","outcome":"passed"}`;
  expect(text.length).toBeGreaterThan(300_000);
  expect((await readBack(text)).records).toEqual([record, { case: "b", outcome: "passed" }]);
  const broken = await readBack(`oops\n${text}`, { name: "r.ndjson" });
  expect([broken.records.length, broken.rejected]).toEqual([2, [
    expect.stringMatching(/^line 1 is not JSON/),
  ]]);
});

test("CSV: a row with too few or too many columns is rejected by line; blank rows are skipped", async () => {
  const text =
    '\uFEFF"case","outcome",message\r\na,passed,"x; ""y"",\r\nz"\r\nb,failed\r\n,,\r\n\r\nc,passed,x,y\r\nd,skipped,\r\n';
  for (const size of [1, 65_536]) {
    const read = await readBack(text, { size });
    expect(read.records).toEqual([
      { case: "a", outcome: "passed", message: 'x; "y",\r\nz' },
      { case: "d", outcome: "skipped" },
    ]);
    expect(read.rejected).toEqual([
      "line 4 it has 2 columns, but the first row has 3",
      "line 7 it has 4 columns, but the first row has 3",
    ]);
  }
});
