import { expect, test } from "vitest";
import { readBack } from "../helpers/formats.ts";

async function told(tap: string): Promise<unknown[][]> {
  const { records } = await readBack(tap, { size: 7 });
  return records.map(({ case: name, outcome, durationMs, message }) => [name, outcome, durationMs, message]);
}

test("vitest, node-tap and Bats: a time after a point is its duration, not part of its name", async () => {
  expect(
    await told(`TAP version 13
1..7
ok 1 - a.test.js > adds # time=1.94ms
ok 2 - test/a.js # time=2s {
    ok 1 - inner
}
ok 3 addition # in 12 ms
not ok 4 sleeps # in 5001 ms # timeout after 5 s
ok 5 - b # SKIP later # time=1.5ms
ok 6 - takes time=3ms
ok 7 - issue #12 # time=3ms of it
`),
  ).toEqual([
    ["a.test.js > adds", "passed", 1.94, undefined],
    ["test/a.js", "passed", 2000, undefined],
    ["addition", "passed", 12, undefined],
    ["sleeps", "timeout", 5001, "timeout after 5 s"],
    ["b", "skipped", 1.5, "later"],
    ["takes time=3ms", "passed", undefined, undefined],
    ["issue #12 # time=3ms of it", "passed", undefined, undefined],
  ]);
});

test("vitest: a block directly after a point belongs to it, however deep its indentation", async () => {
  expect(
    await told(`TAP version 13
1..2
not ok 1 - breaks \\# here # time=6.80ms
    ---
    error:
        name: "AssertionError"
        message: "expected 1 to be 2"
      ...
    at: "a.test.js:4:13"
    ...
not ok 2 - suite {
    1..1
    not ok 1 - inner # time=1ms
        ---
        at: "b.test.js:1:1"
        ...
}
`),
  ).toEqual([
    [
      "breaks # here",
      "failed",
      6.8,
      `error:
    name: "AssertionError"
    message: "expected 1 to be 2"
  ...
at: "a.test.js:4:13"`,
    ],
    ["suite", "failed", undefined, `not ok 1 - inner # time=1ms\n    at: "b.test.js:1:1"`],
  ]);
});

test("node-tap: a subtest whose brace follows a block belongs to the point before", async () => {
  expect(
    await told(`not ok 1 - a
  ---
  x: 1
  ...
{
    not ok 1 - inner of a
}
not ok 2 - b
1..2
`),
  ).toEqual([["a", "failed", undefined, "x: 1\nnot ok 1 - inner of a"], [
    "b",
    "failed",
    undefined,
    undefined,
  ]]);
});

test("the kernel's selftests: a script's exit is not part of the name, and output before a point is its message", async () => {
  expect(
    await told(`TAP version 13
1..4
# selftests: net: fib.sh
# Error: fib went wrong
not ok 1 selftests: net: fib.sh # exit=1
# selftests: net: udp.sh
# need root
ok 2 selftests: net: udp.sh # SKIP
# selftests: net: slow.sh
not ok 3 selftests: net: slow.sh # TIMEOUT 45 seconds
# selftests: net: last.sh
# ok it says
not ok 4 selftests: net: last.sh # exit=3
`),
  ).toEqual([
    [
      "selftests: net: fib.sh",
      "failed",
      undefined,
      "exit=1\n selftests: net: fib.sh\n Error: fib went wrong",
    ],
    ["selftests: net: udp.sh", "skipped", undefined, undefined],
    [
      "selftests: net: slow.sh",
      "timeout",
      undefined,
      "TIMEOUT 45 seconds\n selftests: net: slow.sh",
    ],
    ["selftests: net: last.sh", "failed", undefined, "exit=3\n selftests: net: last.sh\n ok it says"],
  ]);
  expect(
    await told(`TAP version 13
1..3
#  RUN           global.a ...
# a.c:7:a:Expected 1 (1) == 2 (2)
#          FAIL  global.a
not ok 1 global.a
#  RUN           global.b ...
#            OK  global.b
ok 2 global.b
ok 3 # XFAIL known
`),
  ).toEqual([
    [
      "global.a",
      "failed",
      undefined,
      "RUN           global.a ...\n a.c:7:a:Expected 1 (1) == 2 (2)\n          FAIL  global.a",
    ],
    ["global.b", "passed", undefined, undefined],
    ["test 3", "xfailed", undefined, "known"],
  ]);
});

test("KUnit: output before a point of a subtest belongs to that point", async () => {
  expect(
    await told(`KTAP version 1
1..1
    KTAP version 1
    # Subtest: list
    1..2
    # adds: a note
    ok 1 adds
    # empties: EXPECTATION FAILED at list-test.c:9
    Expected 1 == 2
    not ok 2 empties
not ok 1 list
`),
  ).toEqual([
    ["list", "failed", undefined, "empties: EXPECTATION FAILED at list-test.c:9\nnot ok 2 empties"],
  ]);
});

test("a bail-out within a subtest ends the whole run", async () => {
  const read = await readBack(`1..3
ok 1 - a
    ok 1 - inner
    Bail out! no db
ok 2 - never
`);
  expect([read.counts, read.notes, read.missing]).toEqual([
    { passed: 1 },
    ["line 4: Bail out! no db"],
    ["test 2", "test 3"],
  ]);
});
