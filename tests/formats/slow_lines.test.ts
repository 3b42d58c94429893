import { expect, test } from "vitest";
import { cpuMs } from "../helpers/cpu.ts";
import { readBack } from "../helpers/formats.ts";

const LENGTH = 60_000;
const BLANKS = " ".repeat(LENGTH);
const DEJAGNU = "Test run by x on y\n";

function endless(piece: string): string {
  return piece.repeat(Math.floor(LENGTH / piece.length));
}

// Several of these took a pattern, which tried every beginning with every end, seconds.
test.each([
  ["a name with blanks", `${DEJAGNU}FAIL: a${BLANKS}b\n`],
  ["a name with blanks at its end", `${DEJAGNU}FAIL: a${BLANKS}\n`],
  ["bugs' numbers", `${DEJAGNU}FAIL: ${endless("(PRMS ")}\n`],
  ["compiler crashes", `${DEJAGNU}FAIL: ${endless(" (internal compiler error: ")}x\n`],
  ["a total", `${DEJAGNU}# of ${"\t".repeat(LENGTH)}x\nPASS: a\n`],
  ["a variation", `${DEJAGNU}Schedule of variations:\n    a${BLANKS}b\nPASS: a\n`],
  ["a target", `${DEJAGNU}Running target a${BLANKS}b\nPASS: a\n`],
  ["a heading", `${DEJAGNU}   === g: Unexpected x for a${BLANKS}b ===\nPASS: a\n`],
  ["a point with blanks", `1..1\nok 1${BLANKS}x\n`],
  ["a point with hashes", `1..1\nok 1 ${endless(" #")}\n`],
  ["a plan", `ok 1\n1..1${BLANKS}x\n1..1 todo${endless(" 1")}x\n`],
  ["a subtest's blanks", `1..1\n    not ok 1 - a\n${BLANKS}x\nnot ok 1 - a\n`],
  ["a subtest's plan", `1..1\n    not ok 1 - a\n   1..${endless("1")}${BLANKS}\rx\nnot ok 1 - a\n`],
  ["a subtest's heading", `1..1\n    not ok 1 - a\n   # Subtest${BLANKS}\rx\nnot ok 1 - a\n`],
  ["a point's times", `1..1\nok 1 - a${endless(" # time=1ms")}x${endless(" # time=1ms")}\n`],
  ["a point's last hash", `1..1\nok 1 - a #${BLANKS}x\n`],
  ["JSON's blanks", `{"__version__":[1],"tests":[{"name":"a","code":"PASS"}],"x":${BLANKS}1}`],
  [
    "a number in quotes",
    JSON.stringify({
      format_version: "2",
      machine: {},
      run: {},
      tests: [{ name: "a", x: `${"1".repeat(LENGTH)}x` }],
    }),
  ],
  [
    "a property's number",
    `{"testsuites":[{"name":"s","testsuite":[{"name":"a","status":"RUN","p":"${"1".repeat(LENGTH)}x"}]}]}`,
  ],
  [
    "a property's number in XML",
    `<testsuite><testcase name="a"><properties><property name="p" value="${
      "1".repeat(LENGTH)
    }x"/></properties></testcase></testsuite>`,
  ],
  [
    "a line of lit's",
    `-- Testing: 1 tests, 1 workers --\nPASS: a (1 of 1)\nPASS: a${BLANKS}(1 of ${endless("1 ")}\n`,
  ],
  ["a name of GDB's", `FAIL: gdb.base/a.exp: ${endless("(eof) ")}x\n`],
  ["a name of Automake's", `PASS: a\nSKIP:${BLANKS}a\n`],
  ["a time", `<testsuite><testcase name="a" time="${endless("1,")}x"/></testsuite>`],
])("a line that is endless does not hold up the hub: %s", async (_what, text) => {
  const ms = await cpuMs(async () => expect((await readBack(text)).records).toHaveLength(1));
  expect(ms).toBeLessThan(1000);
});
