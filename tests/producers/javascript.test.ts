import { afterAll, beforeAll, expect, test } from "vitest";
import { HOME } from "../helpers/app.ts";
import { hasNode, type Hub, lines, producersHub, run, suiteOf, tally, works } from "../helpers/producers.ts";
import { requires } from "../helpers/require.ts";

/** The folder in which npm installed Jest and jest-junit. */
const JEST = Deno.env.get("CHUB_JEST");
const withJest = requires(
  "Jest and jest-junit",
  JEST !== undefined && hasNode(14) && works("node", `${JEST}/node_modules/jest/bin/jest.js`, "--version"),
  "npm i --prefix DIR jest@29.7.0 jest-junit@16.0.0, and CHUB_JEST=DIR",
);

/** Rounding error of the files' seconds, which have at least six decimals. */
const ROUNDED_MS = 0.001;

let hub: Hub;
const folders: string[] = [];
beforeAll(async () => {
  hub = await producersHub();
});
afterAll(async () => {
  await hub.close();
  for (const folder of folders) await Deno.remove(folder, { recursive: true });
});

async function suite(name: string): Promise<string> {
  const folder = await suiteOf(name);
  folders.push(folder);
  return folder;
}

/** The `--json` output of vitest and Jest. */
interface Report {
  numTotalTests: number;
  numPassedTests: number;
  numFailedTests: number;
  numPendingTests: number;
  numTodoTests: number;
  testResults: { assertionResults: Assertion[] }[];
}
interface Assertion {
  ancestorTitles: string[];
  title: string;
  status: string;
  duration: number | null;
  failureMessages: string[];
}
const STATUS: Record<string, string> = { passed: "passed", failed: "failed" };

const reported = async (path: string) => JSON.parse(await Deno.readTextFile(path)) as Report;
const assertionsOf = (report: Report) => report.testResults.flatMap((file) => file.assertionResults);

test("vitest's JUnit: as its JSON reports the same run", async () => {
  const folder = await suite("vitest");
  const { imports } = JSON.parse(await Deno.readTextFile(`${HOME}/deno.json`));
  await run(HOME, Deno.execPath(), [
    ...`run -A ${imports.vitest} run --root ${folder} --reporter=junit --reporter=json`.split(" "),
    `--outputFile.junit=${folder}/junit.xml`,
    `--outputFile.json=${folder}/report.json`,
  ]);
  const report = await reported(`${folder}/report.json`);
  const assertions = assertionsOf(report);
  const expected = assertions.map((one) => ({
    case: `suite.spec.mjs.${[...one.ancestorTitles, one.title].join(" > ")}`,
    outcome: STATUS[one.status] ?? "skipped",
    one,
  }));
  // An unreadable file is a case in its JUnit, but not one of its tests.
  const broken = { case: "broken.spec.mjs.broken.spec.mjs", outcome: "failed" };
  const read = await hub.push(`${folder}/junit.xml`);
  expect(lines(read.results)).toEqual(lines([...expected, broken]));
  expect(read.counts).toEqual({
    passed: report.numPassedTests,
    failed: report.numFailedTests + 1,
    skipped: report.numPendingTests + report.numTodoTests,
  });
  expect(assertions.length).toBe(report.numTotalTests);
  for (const { case: name, outcome, one } of expected) {
    const result = read.results.find((other) => other.case === name)!;
    if (outcome !== "skipped") {
      expect(Math.abs(result.durationMs! - one.duration!), name).toBeLessThan(ROUNDED_MS);
    }
    if (outcome === "failed") {
      const [first] = one.failureMessages[0]!.split("\n");
      expect(result.message!.split(first!), name).toHaveLength(2);
    } else expect(result.message ?? "").toBe("");
  }
});

withJest("jest-junit: as Jest's JSON reports the same run", async () => {
  const folder = await suite("jest");
  await run(folder, "node", [
    `${JEST}/node_modules/jest/bin/jest.js`,
    ..."--ci --json --outputFile=report.json --reporters=default".split(" "),
    `--reporters=${JEST}/node_modules/jest-junit`,
  ]);
  const report = await reported(`${folder}/report.json`);
  const assertions = assertionsOf(report);
  const expected = assertions.map((one) => ({
    case: [...one.ancestorTitles, one.title].join(" "),
    // jest-junit does not mark a todo, so it counts as passed.
    outcome: one.status === "todo" ? "passed" : STATUS[one.status] ?? "skipped",
    one,
  }));
  const read = await hub.push(`${folder}/junit.xml`);
  expect(lines(read.results)).toEqual(lines(expected));
  expect(read.counts).toEqual({
    passed: report.numPassedTests + report.numTodoTests,
    failed: report.numFailedTests,
    skipped: report.numPendingTests,
  });
  for (const { case: name, outcome, one } of expected) {
    const result = read.results.find((other) => other.case === name)!;
    expect(Math.abs(result.durationMs! - (one.duration ?? 0)), name).toBeLessThan(ROUNDED_MS);
    if (outcome === "failed") expect(result.message).toContain(one.failureMessages[0]!.split("\n")[0]);
  }
});

test("Deno's JUnit and TAP: each test and step with its printed outcome", async () => {
  const folder = await suite("deno");
  const args = ["test", "-A", "--no-check", "--no-lock"];
  const { out } = await run(folder, Deno.execPath(), [
    ...args,
    "--junit-path=junit.xml",
    "suite.mjs",
    "other.mjs",
  ]);
  const printed: { case: string; outcome: string; isStep: boolean }[] = [];
  const open: string[] = [];
  let file = "";
  for (const line of out.slice(0, out.indexOf(" ERRORS ")).split("\n")) {
    file = /^running \d+ tests? from (\S+)$/.exec(line)?.[1] ?? file;
    const [, indent, name, word] = /^( *)(.+?) \.\.\.(?: (ok|FAILED|ignored)\b.*)?$/.exec(line) ?? [];
    if (name === undefined) continue;
    open.length = indent!.length / 2;
    open.push(name);
    if (word === undefined) continue;
    const outcome = { ok: "passed", FAILED: "failed", ignored: "skipped" }[word]!;
    printed.push({ case: `${file}.${open.join(" > ")}`, outcome, isStep: open.length > 1 });
  }
  const counts = tally(printed.map((one) => `${one.outcome}${one.isStep ? " step" : ""}`));
  const said = /(\d+) passed \((\d+) steps?\) \| (\d+) failed \((\d+) steps?\) \| (\d+) ignored \((\d+) step/;
  expect(said.exec(out)!.slice(1).map(Number)).toEqual(
    ["passed", "failed", "skipped"].flatMap((word) => [counts[word], counts[`${word} step`]]),
  );
  const junit = await hub.push(`${folder}/junit.xml`);
  expect(lines(junit.results)).toEqual(lines(printed));
  const message = (name: string) => junit.results.find((one) => one.case === `./suite.mjs.${name}`)!.message;
  expect(message("fails")).toContain('Error: it <broke> & "so" ]]>');
  expect(message("with steps")).toBe("1 test step failed.");
  expect(message("with steps > second > inner")).toContain("inner broke");
  const slow = junit.results.find((one) => one.case === "./suite.mjs.slow")!.durationMs!;
  expect(Math.abs(slow - Number(/^slow \.\.\. ok \((\d+)ms\)$/m.exec(out)![1]))).toBeLessThanOrEqual(1);

  const { out: text } = await run(folder, Deno.execPath(), [
    ...args,
    "--reporter=tap",
    "suite.mjs",
    "other.mjs",
  ]);
  await Deno.writeTextFile(`${folder}/out.tap`, text);
  const tap = await hub.push(`${folder}/out.tap`);
  // Its TAP has no file names, and nests steps in their tests.
  expect(lines(tap.results)).toEqual(
    lines(
      printed.filter((one) => !one.isStep).map((one) => ({
        ...one,
        case: one.case.replace(/^\S+?\.mjs\./, ""),
      })),
    ),
  );
  const failed = tap.results.find((one) => one.case === "fails")!;
  expect(failed.message).toMatch(/^Error: it <broke> & "so" ]]>\n/);
  expect(tap.results.find((one) => one.case === "with steps")!.message).toContain("inner broke");
});
