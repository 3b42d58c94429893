import { expect, test } from "vitest";
import { readBack } from "../helpers/formats.ts";

test("DejaGnu: words, variations, bug numbers, compiler crashes, output before a failure", async () => {
  const sum = `Test run by nobody on Mon Jan  1 00:00:00 2024
		=== demo tests ===

Schedule of variations:
    unix
    unix/-m32

Running target unix
Running /src/demo.exp ...
PASS: demo/a.c  -O2 (test for excess errors)
WARNING: program timed out.
FAIL: demo/slow.c execution test
KFAIL: demo/gdb.exp: print x (PRMS: gdb/123)
KPASS: demo/gdb2.exp: print y (PRMS gdb/124)
FAIL: demo/ice.c (internal compiler error: in fold, at fold.c:12)
ERROR: tcl error sourcing /src/demo.exp.
UNRESOLVED: demo/a.c  -O3
XFAIL: demo/x.c
XPASS: demo/y.c
UNSUPPORTED: demo/z.c
UNTESTED: demo/w.c
NOTE: not a case
PASS:  demo/two-blanks.c
Running target unix/-m32
PASS: demo/a.c  -O2 (test for excess errors)

		=== demo Summary ===

# of expected passes		3
`;
  const read = await readBack(sum, { size: 11 });
  expect(read.counts).toEqual({
    passed: 3,
    failed: 2,
    xfailed: 2,
    xpassed: 2,
    unresolved: 1,
    unsupported: 1,
    untested: 1,
  });
  const by = new Map(read.records.map((record) => [record.case, record]));
  expect([...by.keys()].filter((name) => name.startsWith("demo/a.c  -O2"))).toEqual([
    "demo/a.c  -O2 (test for excess errors) [unix]",
    "demo/a.c  -O2 (test for excess errors) [unix/-m32]",
  ]);
  expect(by.get("demo/slow.c execution test [unix]")).toMatchObject({
    message: "WARNING: program timed out.",
  });
  expect(by.get("demo/gdb.exp: print x [unix]")).toEqual({
    case: "demo/gdb.exp: print x [unix]",
    outcome: "xfailed",
    word: "KFAIL",
    message: "PRMS gdb/123",
  });
  expect(by.get("demo/gdb2.exp: print y [unix]")).toMatchObject({ outcome: "xpassed", word: "KPASS" });
  expect(by.get("demo/ice.c (internal compiler error) [unix]")).toMatchObject({
    outcome: "failed",
    message: "internal compiler error: in fold, at fold.c:12",
  });
  expect(by.get("demo/a.c  -O3 [unix]")!.message).toContain("tcl error");
  expect(by.has("demo/two-blanks.c [unix]")).toBe(true);
  expect(read.notes).toEqual(["line 16: tcl error sourcing /src/demo.exp."]);
});

test("DejaGnu: a truncated file is noted, a log's lines are the message, a single variation is not added to names", async () => {
  const log = `Test Run By nobody on x
		=== gcc tests ===
Schedule of variations:
    unix

Running target unix
Executing on host: gcc a.c
a.c:1: error: expected ';'
FAIL: gcc.dg/a.c (test for excess errors)
`;
  const read = await readBack(log, { name: "gcc.log" });
  expect(read.records).toEqual([{
    case: "gcc.dg/a.c (test for excess errors)",
    outcome: "failed",
    message: "Executing on host: gcc a.c\na.c:1: error: expected ';'",
  }]);
  expect(read.notes).toEqual([expect.stringContaining("without DejaGnu's summary")]);
  await expect(readBack("nothing of note\n", { name: "gcc.sum" })).rejects.toThrow(
    "neither results nor a DejaGnu heading",
  );
});

test("TAP: directives, subtests, blocks, bail-outs, and planned points", async () => {
  const tap = `TAP version 14
1..8
ok 1 - plain
not ok 2 - told
  ---
  message: "why"
  ...
# and a comment
# Subtest: inner
    ok 1 - a
    not ok 2 - deep
    1..2
not ok 3 - inner
ok 4 - later # SKIP no network
not ok 5 - todo # TODO soon
ok 6 - done # todo forgot
ok 7 - a \\# b
`;
  const read = await readBack(tap, { size: 5 });
  expect(read.records).toEqual([
    { case: "plain", outcome: "passed" },
    { case: "told", outcome: "failed", message: 'message: "why"\n and a comment' },
    { case: "inner", outcome: "failed", message: "not ok 2 - deep" },
    { case: "later", outcome: "skipped", message: "no network" },
    { case: "todo", outcome: "xfailed", message: "soon" },
    { case: "done", outcome: "xpassed", message: "forgot" },
    { case: "a # b", outcome: "passed" },
  ]);
  expect(read.missing).toEqual(["test 8"]);
  const bailed = await readBack("1..3\nok 1\nBail out! the disk is full\nok 2\n");
  expect([bailed.counts, bailed.missing, bailed.notes]).toEqual([
    { passed: 1 },
    ["test 2", "test 3"],
    ["line 3: Bail out! the disk is full"],
  ]);
  expect((await readBack("ok 1\nok 2\n", { name: "x.tap" })).notes).toEqual([
    expect.stringContaining("no plan"),
  ]);
  expect((await readBack("ok\nok\n1..2\n")).missing).toEqual([]);
  expect((await readBack("1..0 # skip all of it\n")).notes).toEqual([
    expect.stringContaining("the whole file was skipped"),
  ]);
  const braces = await readBack("1..1\nnot ok 1 - outer {\n    not ok 1 - inner\n    1..1\n}\n");
  expect(braces.records).toEqual([{ case: "outer", outcome: "failed", message: "not ok 1 - inner" }]);
  expect((await readBack("1..4000000000\nok 1\n")).notes).toHaveLength(1);
});

test("a UTF-16 file of lines, as a Windows shell writes it, is read", async () => {
  const text = "\uFEFF1..1\r\nok 1 - é\r\n";
  const bytes = new Uint8Array(new Uint16Array([...text].map((char) => char.charCodeAt(0))).buffer);
  for (const size of [1, 3, 100]) {
    expect((await readBack(bytes, { size })).records).toEqual([{ case: "é", outcome: "passed" }]);
  }
});
