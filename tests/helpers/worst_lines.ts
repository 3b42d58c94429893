import { csv } from "../../formats/csv.ts";
import { dejagnu } from "../../formats/dejagnu.ts";
import { litLog } from "../../formats/lit_log.ts";
import { ndjson } from "../../formats/ndjson.ts";
import { subtests } from "../../formats/subtests.ts";
import { tap } from "../../formats/tap.ts";
import { endless, type Reader, type Text, under, wide } from "./worst_texts.ts";

const DEJAGNU = "Test run by x on y\n";
const LIT_LOG =
  "-- Testing: 1 tests, 1 workers --\nPASS: a (1 of 1)\n********** TEST 'a' RESULTS **********\n";

/** Line formats with their most expensive lines. Add every new format and every new pattern of a format. */
export const LINES: Reader[] = [
  {
    format: tap,
    plain: endless("ok 1 - a test of the parser # time=12ms\n", { head: "1..1\n" }),
    worst: {
      "a plan with blanks": wide("1..1 todo", " ", "x"),
      "a plan with numbers": wide("1..1 todo", " 1", "x"),
      "a plan of digits": wide("1..", "1", "\rx"),
      "a plan with a reason": wide("1..0 ", " ", "# \rx"),
      "a point with blanks": wide("ok 1", " ", "x"),
      "a point with digits": wide("ok ", "1", "x"),
      "a point with hashes": wide("ok 1 ", " #", ""),
      "a point with backslashes": wide("ok 1 ", "\\", "#"),
      "a point's times": wide("ok 1 - a", " # time=1ms", "x"),
      "a point's last hash": wide("ok 1 - a #", " ", "x"),
      "a point's skip": wide("ok 1 - a # skip", "p", " x"),
      "a bail out": wide("Bail out", "!", " \rx"),
      "a script": wide("a.t .", ".", " x"),
      "a script with dots": wide("", "./", " ."),
      "a script's end": endless("ok 5 ms\r                         \rx\n", { head: "a.t ..\n1..0\n" }),
      "what prove says": wide("Bailout called.", " ", "Further", { head: "a.t ..\n1..1\n" }),
      "a subtest's blanks": wide("", " ", "x", { head: "not ok 1 - a\n    not ok 1 - a\n" }),
      "a subtest's plan": wide("   1..", "1", "\rx", { head: "not ok 1 - a\n    not ok 1 - a\n" }),
      "a block": wide("  duration_ms: ", "1", "x", { head: "not ok 1 - a\n  ---\n" }),
      "a script with a long name": under((name) => `${name}.t ..\n`, "ok 1 - a\n"),
      "scripts with large plans": endless("a.t ..\n1..10\n"),
      "points of high numbers": endless("a.t ..\nok 1000000\n"),
    },
  },
  {
    format: litLog,
    plain: endless("PASS: suite :: a/test.c (1 of 1)\n", { head: "-- Testing: 1 tests, 1 workers --\n" }),
    worst: {
      "a metric with blanks": wide("a: x", " ", "x", { head: LIT_LOG, width: 1999 }),
      "an endless metric": wide("a: x", " ", "x", { head: LIT_LOG }),
      "a metric's digits": wide("a: ", "1", "x", { head: LIT_LOG, width: 1999 }),
      "metrics": endless("a: 1\n", { head: LIT_LOG }),
      "a result's numbers": wide("PASS: a", " (1 of 1", "x", { width: 1999 }),
      "a result with blanks": wide("PASS: a", " ", "(1 of 1", { width: 1999 }),
      "stars": wide("", "*", " TEST '", { head: LIT_LOG, width: 1999 }),
      "stars in a heading": wide("********** TEST '", "' ", "x", { width: 1999 }),
      "an error": wide("lit: ", "fatal", "x", { width: 1999 }),
    },
  },
  {
    format: dejagnu,
    plain: endless("PASS: gcc.dg/a.c (test for excess errors)\n", { head: DEJAGNU }),
    worst: {
      "a name with blanks": wide("FAIL: a", " ", "b", { head: DEJAGNU }),
      "blanks before a name": wide("FAIL: ", " ", "b", { head: DEJAGNU }),
      "bugs' numbers": wide("FAIL: ", "(PRMS ", "", { head: DEJAGNU }),
      "compiler crashes": wide("FAIL: ", " (internal compiler error: ", "x", { head: DEJAGNU }),
      "a total": wide("# of ", "\t", "x", { head: DEJAGNU, width: 999 }),
      "a total's digits": wide("# of \t", "1", "x", { head: DEJAGNU, width: 999 }),
      "a variation": wide("    a", " ", "b", { head: `${DEJAGNU}Schedule of variations:\n` }),
      "a target": wide("Running target a", " ", "\rb", { head: DEJAGNU, width: 999 }),
      "a heading": wide("   === g: Unexpected x for a", " ", "b ===", { head: DEJAGNU, width: 999 }),
      "a heading of headings": wide("   === a", ": Unexpected x for ", "===\rx", {
        head: DEJAGNU,
        width: 999,
      }),
      "a summary": wide("   === ", "Summary ", "\rx", { head: DEJAGNU, width: 999 }),
      "GDB's tails": wide("FAIL: gdb.base/a.exp: ", "(eof) ", "x", { head: DEJAGNU }),
      "GDB's names": wide("FAIL: gdb.", "a.", " (eof)", { head: DEJAGNU }),
      "a name of Automake's": wide("SKIP:", " ", "a"),
      "a name of Automake's with numbers": wide("SKIP: a", " 1", "\r"),
      "lines between": endless("x\n", { head: DEJAGNU }),
      "lines below a result": endless("x\n", { head: "FAIL: a\n=======\n" }),
      "a script": wide("Running ", "a.exp", "\tx", { head: DEJAGNU }),
    },
  },
  {
    format: subtests,
    plain: endless("a/test/of/the/parser=1\n"),
    worst: {
      "digits": wide("a=", "1", "x", { width: 9_999 }),
      "blanks": wide("a", " ", "= 1", { width: 9_999 }),
      "equals": wide("a", "=", "x", { width: 9_999 }),
    },
  },
  {
    format: ndjson,
    plain: endless('{"case":"a test of the parser","outcome":"passed","durationMs":12}\n'),
    worst: {
      "a line without end": endless(" ", { head: '{"case":"a","outcome":"passed"' }),
      "blank lines": endless(" \n"),
      "a case without end": endless("a", { head: '{"case":"', tail: '","outcome":"passed"}\n' }),
      "samples": endless('{"metric":"m","value":1},', {
        head: '{"case":"a","outcome":"passed","samples":[',
        tail: '{"metric":"m","value":1}]}\n',
      }),
    },
  },
  {
    format: csv,
    plain: endless("a test of the parser,passed,12\n", { head: "case,outcome,durationMs\n" }),
    worst: {
      "quotes": endless('""', { head: 'case,outcome\n"', tail: '",passed\n' }),
      "quotes in rows": wide('"', '""', '",passed', { head: "case,outcome\n" }),
      "lines in quotes": wide('"', "\n", '",passed', { head: "case,outcome\n" }),
      "columns": wide("a", ",", "", { head: "case,outcome\n" }),
      "blank rows": endless("\n", { head: "case,outcome\n" }),
      "a row without end": endless("a", { head: "case,outcome\n" }),
      "blanks before the columns": endless("\n", { tail: "case,outcome\na,passed\n" }),
      "durations": wide("a,passed,", "1", ";1", { head: "case,outcome,durationMs\n" }),
    },
  },
];

/** Starts of files that are most expensive for format detection. */
export const HEADS: Record<string, Text> = {
  "blanks": endless(" ", { tail: "x" }),
  "line ends": endless("\n", { tail: "x" }),
  "braces": endless("{"),
  "cases": endless('{"case"', { tail: "x" }),
  "contexts": endless('"context":{', { head: "{" }),
  "benchmarks": endless('"benchmarks" ', { head: "{" }),
  "names": endless('"Name" ', { head: '{"Tests":[{' }),
  "suites": endless('"testsuites" ', { head: "{" }),
  "instructions": endless("<?>"),
  "comments": endless("<!---->"),
  "document types": endless("<!x[]>"),
  "brackets": endless("] ", { head: "<!DOCTYPE x [" }),
  "elements": endless("<testsuite> ", { head: "<!ELEMENT testsuite (test" }),
  "declared encodings": endless(" encoding ", { head: "<?xml" }),
  "plans": endless("1..1 \n"),
  "points": endless("ok \t\n"),
  "totals": endless("\t", { head: "# of x", tail: "\rx" }),
  "headings": endless(" === x ===\r"),
  "targets": endless(" ", { head: "Running target x", tail: "\rx" }),
  "stars": endless("*"),
  "numbers of lit's": endless(" (1 of 1", { head: "PASS: a" }),
  "columns": endless(",", { tail: "x" }),
  "quotes": endless('"', { tail: "\n" }),
};
