import { expect, test } from "vitest";
import { readBack } from "../helpers/formats.ts";

async function told(text: string, name = ""): Promise<unknown[][]> {
  const { records } = await readBack(text, { name, size: 9 });
  return records.map(({ case: one, outcome, message }) => [one, outcome, message]);
}

test("Automake's console: its own words are results like DejaGnu's", async () => {
  const read = await readBack(`make[1]: Entering directory
PASS: t1
SKIP: t2
XFAIL: t3
FAIL: t4
ERROR: t6
PASS: foo.test 1 - adds
SKIP: foo.test 2 - moons # SKIP no moon
ERROR: foo.test - missing test plan
ERROR: tcl error sourcing x
============================================================================
Testsuite summary for demo 1.0
============================================================================
# TOTAL: 8
`);
  expect(read.records.map((one) => [one.case, one.outcome, one.message])).toEqual([
    ["t1", "passed", undefined],
    ["t2", "skipped", undefined],
    ["t3", "xfailed", undefined],
    ["t4", "failed", undefined],
    ["t6", "error", undefined],
    ["foo.test 1 - adds", "passed", undefined],
    ["foo.test 2 - moons", "skipped", "no moon"],
    ["foo.test - missing test plan", "error", undefined],
  ]);
  expect(read.notes).toEqual(["line 10: tcl error sourcing x"]);
});

test("Automake's test-suite.log: the lines below an underlined result belong to it", async () => {
  expect(
    await told(`=======================================
   demo 1.0: ./test-suite.log
=======================================

# TOTAL: 4
# PASS:  1

.. contents:: :depth: 2

SKIP: t2
========

no moon
SKIP t2 (exit status: 77)

FAIL: t4
========

expected 1
FAIL t4 (exit status: 1)

FAIL: t5
========

expected 2
`),
  ).toEqual([
    ["t2", "skipped", undefined],
    ["t4", "failed", "expected 1\nFAIL t4 (exit status: 1)"],
    ["t5", "failed", "expected 2"],
  ]);
});

test("lit -v: codes, names without positions, output of failures, and metrics", async () => {
  const log = `lit: lit.cfg:3: note: using clang
-- Testing: 7 tests, 2 workers --
PASS: LLVM :: a.ll (1 of 7)
FAIL: LLVM :: b.ll (2 of 7)
******************** TEST 'LLVM :: b.ll' FAILED ********************
Exit Code: 1
PASS: other :: in.ll (1 of 9)
********************
TIMEOUT: LLVM :: c.ll (3 of 7)
******************** TEST 'LLVM :: c.ll' FAILED ********************
Reached timeout of 2 seconds
********************
FLAKYPASS: LLVM :: d.ll (4 of 7)
SKIPPED: LLVM :: e.ll (5 of 7)
PASS: LLVM :: m.ll (6 of 7)
********** TEST 'LLVM :: m.ll' RESULTS **********
size: 12 
hash: "abc" 
nan: nan 
**********
********************
Failed Tests (1):
  LLVM :: b.ll
`;
  expect(await told(log)).toEqual([
    ["LLVM :: a.ll", "passed", undefined],
    ["LLVM :: b.ll", "failed", "Exit Code: 1\nPASS: other :: in.ll (1 of 9)"],
    ["LLVM :: c.ll", "timeout", "Reached timeout of 2 seconds"],
    ["LLVM :: d.ll", "passed", undefined],
    ["LLVM :: e.ll", "skipped", undefined],
    ["LLVM :: m.ll", "passed", undefined],
  ]);
  const { records, notes } = await readBack(log);
  expect(records[3]!.word).toBe("FLAKYPASS");
  expect(records[5]!.samples).toEqual([{ metric: "size", value: 12 }, { metric: "hash", value: "abc" }]);
  expect(notes).toEqual([
    "the file: it lists 6 of 7 tests: lit lists passed tests only with -v",
  ]);
});

test("GDB: the cause of a failure moves from the name to the message", async () => {
  expect(
    await told(`		=== gdb tests ===
PASS: gdb.base/a.exp: continue to end
FAIL: gdb.base/a.exp: continue to end (timeout)
UNRESOLVED: gdb.base/a.exp: next (GDB internal error)
FAIL: gdb.base/a.exp: print x (kfail soon)
FAIL: gcc.dg/a.c (timeout)
`),
  ).toEqual([
    ["gdb.base/a.exp: continue to end", "passed", undefined],
    ["gdb.base/a.exp: continue to end", "failed", "timeout"],
    ["gdb.base/a.exp: next", "unresolved", "GDB internal error"],
    ["gdb.base/a.exp: print x (kfail soon)", "failed", undefined],
    ["gcc.dg/a.c (timeout)", "failed", undefined],
  ]);
});

test("DejaGnu: output before another script or tool begins does not belong to its results", async () => {
  expect(
    await told(`LAST_UPDATED: some day
		=== gcc tests ===
Schedule of variations:
    unix

Running target unix
FAIL: a
Running /src/a.exp ...
ERROR: tcl error sourcing a.exp.
Running /src/b.exp ...
FAIL: b
/build/gcc/xgcc version 16
		=== gdb tests ===
Schedule of variations:
    native-gdbserver

Running target native-gdbserver
FAIL: c
`),
  ).toEqual([["a", "failed", undefined], ["b", "failed", undefined], ["c", "failed", undefined]]);
});
