import { expect, test } from "vitest";
import { readBack } from "../helpers/formats.ts";

test("NDJSON and CSV: texts that are too long are cut, and NULs replaced, as in other formats", async () => {
  const long = "x".repeat(4001);
  const read = await readBack(
    [
      { case: "g", outcome: "failed", message: long },
      { case: `${"n".repeat(999)}  of it`, outcome: "failed", word: "w".repeat(70) },
      { case: "a\0b", outcome: "passed", message: "\0", samples: [{ metric: "m", value: `\0${long}` }] },
      { case: "", outcome: "passed" },
      { case: "z", outcome: "great", message: long },
    ].map((one) => JSON.stringify(one)).join("\n"),
  );
  expect(read.records.map((one) => [one.case.length, one.word?.length, one.message?.length])).toEqual([
    [1, undefined, 4000],
    [999, 64, undefined],
    [3, undefined, 1],
  ]);
  expect(read.records[2]).toMatchObject({ case: "a\uFFFDb", message: "\uFFFD" });
  expect(String(read.records[2]!.samples![0]!.value)).toHaveLength(300);
  expect(read.rejected).toEqual([
    expect.stringContaining("line 4 case"),
    expect.stringContaining("line 5 outcome"),
  ]);
  expect((await readBack(`case,outcome,message\na,failed,${long}\n`)).records[0]!.message).toHaveLength(4000);
});

test("CSV: decimal commas with another delimiter, and blank lines before the header", async () => {
  const read = await readBack("\r\n  \r\ncase;outcome;durationMs\r\na;passed;1,5\r\nb;passed;1,5,2\r\n", {
    size: 3,
  });
  expect(read.records).toEqual([{ case: "a", outcome: "passed", durationMs: 1.5 }]);
  expect(read.rejected).toEqual([expect.stringContaining("line 5 durationMs")]);
});

test("NDJSON: a file named or typed so is recognised whatever its first record begins with", async () => {
  const record = { message: "m".repeat(5000), case: "a", outcome: "failed" };
  expect((await readBack(JSON.stringify(record), { name: "r.ndjson" })).records).toHaveLength(1);
});

test("GoogleTest: tests that were only listed did not pass", async () => {
  const listed = {
    testsuites: [{ name: "Foo", testsuite: [{ name: "A", file: "a.cc", line: 3 }] }],
  };
  const read = await readBack(JSON.stringify(listed));
  expect([read.counts, read.rejected]).toEqual([{}, [
    "testsuites[0].testsuite[0] is only listed (by --gtest_list_tests) and did not run",
  ]]);
});

test.each([
  ["a fault", '{"tests": [\n{"name": "é", "code": "PASS"},\n  {"name": tru}]}', "line 3, column 15"],
  ["a token at a wrong place", '{"tests": [\n{"name": "é"\n"b": 1}]}', "line 3, column "],
  ["after non-finite numbers", '{"tests": [\n{"x": NaN, "y": NaN, "z": ?}]}', "line 2, column 27"],
  ["its end", '{"tests": [\n{"name":\n', "line 3, column 1"],
  ["content after it", '{"tests": []}\n\n x', ", column "],
])("JSON: the place of a fault is reported: %s", async (_what, text, place) => {
  for (const size of [1, 5, 65_536]) {
    await expect(readBack(`{"__version__": [1], ${text.slice(1)}`, { size })).rejects.toThrow(place);
  }
});
