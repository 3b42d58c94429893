import { afterAll, beforeAll, expect } from "vitest";
import { hasNode, type Hub, lines, producersHub, run, suiteOf } from "../helpers/producers.ts";
import { requires } from "../helpers/require.ts";

const withNode = requires(
  "Node 20 or later, whose runner writes JUnit",
  hasNode(20),
  "apt-get install nodejs, or npm i node@20",
);

/** Rounding error of a printed time and of the file's seconds. */
const ROUNDED_MS = 0.002;

let hub: Hub;
let folder: string;
beforeAll(async () => {
  hub = await producersHub();
  folder = await suiteOf("node");
});
afterAll(async () => {
  await hub.close();
  await Deno.remove(folder, { recursive: true });
});

interface Printed {
  path: string[];
  outcome: string;
  ms: number;
  isSuite: boolean;
}

/** The output of Node's `spec` reporter, without the failures it repeats at the end. */
function printedIn(out: string): Printed[] {
  const printed: Printed[] = [];
  const open: string[] = [];
  const suites = new Set<string>();
  const text = out.slice(0, out.indexOf("\nℹ tests"));
  for (const line of text.split("\n")) {
    const [, indent, sign, rest] = /^((?: {2})*)([✔✖﹣▶⚠]) (.+)$/u.exec(line) ?? [];
    if (rest === undefined) continue;
    const [, name = rest, ms, note] = /^(.+) \((\d+(?:\.\d+)?)ms\)(?: # (.+))?$/.exec(rest) ?? [];
    open.length = indent!.length / 2;
    const key = JSON.stringify([...open, name]);
    if (ms === undefined) {
      suites.add(key);
      open.push(name);
      continue;
    }
    const isTodo = note === "not written" || note === "to be mended";
    const isBad = sign === "✖" || isTodo && name === "todo fails";
    printed.push({
      path: [...open, name],
      outcome: isTodo
        ? isBad ? "xfailed" : "todo"
        : note !== undefined
        ? "skipped"
        : isBad
        ? "failed"
        : "passed",
      ms: Number(ms),
      isSuite: suites.has(key),
    });
    open.push(name);
  }
  return printed;
}

withNode("Node's runner, JUnit and TAP: each test has its printed outcome", async () => {
  const { out } = await run(folder, "node", [
    ..."--test --test-reporter=spec --test-reporter-destination=stdout --test-reporter=junit".split(" "),
    ..."--test-reporter-destination=junit.xml --test-reporter=tap --test-reporter-destination=out.tap".split(
      " ",
    ),
    "suite.mjs",
  ]);
  const total = (word: string) => Number(new RegExp(`^ℹ ${word} (\\d+)$`, "m").exec(out)![1]);
  const printed = printedIn(out);
  const tests = printed.filter((one) => !one.isSuite);
  const junit = await hub.push(`${folder}/junit.xml`);
  // Its JUnit cannot represent a todo that was skipped instead of failed.
  const outcomeIn = (outcome: string, todo: string) => outcome === "todo" ? todo : outcome;
  expect(lines(junit.results)).toEqual(
    lines(tests.map((one) => ({ case: one.path.join("."), outcome: outcomeIn(one.outcome, "skipped") }))),
  );
  // A test with subtests counts as a test in its totals, but is a suite in its JUnit.
  expect(junit.counts).toEqual({
    passed: total("pass"),
    failed: total("fail") + total("cancelled") - 1,
    skipped: total("skipped") + total("todo") - 1,
    xfailed: 1,
  });
  for (const one of tests) {
    const result = junit.results.find((other) => other.case === one.path.join("."))!;
    expect(Math.abs(result.durationMs! - one.ms), result.case).toBeLessThan(ROUNDED_MS);
  }
  const message = (name: string) => junit.results.find((one) => one.case === name)!.message;
  expect(message("fails")).toContain("one is not <two>");
  expect(message("todo fails")).toContain("as told");
  expect(message("skips itself")).toContain("from within");

  const tap = await hub.push(`${folder}/out.tap`);
  expect(lines(tap.results)).toEqual(
    lines(
      printed.filter((one) => one.path.length === 1).map((one) => ({
        case: one.path[0]!,
        outcome: outcomeIn(one.outcome, "xpassed"),
      })),
    ),
  );
  for (const one of printed.filter((each) => each.path.length === 1)) {
    const result = tap.results.find((other) => other.case === one.path[0])!;
    expect(Math.abs(result.durationMs! - one.ms), result.case).toBeLessThan(ROUNDED_MS);
  }
  expect(tap.results.find((one) => one.case === "suite")!.message).toMatch(/not ok 2 - breaks[^]*in a suite/);
  expect(tap.results.find((one) => one.case === "hangs")!.message).toContain("timed out after 100ms");
});
