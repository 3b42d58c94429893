import { afterAll, beforeAll, expect } from "vitest";
import { type Hub, lines, producersHub, type Ran, run, suiteOf, tally, works } from "../helpers/producers.ts";
import { requires } from "../helpers/require.ts";

const PYTHON = "/usr/bin/python3";
const withPytest = requires(
  "pytest",
  works(PYTHON, "-m", "pytest", "--version"),
  "apt-get install python3-pytest",
);

/** Rounding error of the file's seconds, which have three decimals. */
const ROUNDED_MS = 0.501;

interface Phase {
  nodeid: string;
  when: "setup" | "call" | "teardown";
  outcome: "passed" | "failed" | "skipped";
  xfail: string | null;
  seconds: number;
  reason: string;
}

let hub: Hub;
let folder: string;
beforeAll(async () => {
  hub = await producersHub();
  folder = await suiteOf("pytest");
});
afterAll(async () => {
  await hub.close();
  await Deno.remove(folder, { recursive: true });
});

function pytest(family: string, ...more: string[]): Promise<Ran> {
  return run(folder, PYTHON, [
    ..."-m pytest -p no:cacheprovider -q -rA --tb=short --continue-on-collection-errors".split(" "),
    "-o",
    `junit_family=${family}`,
    `--junit-xml=${family}.xml`,
    ...more,
  ], { TOLD: `${folder}/${family}.jsonl`, PYTHONDONTWRITEBYTECODE: "1" });
}

/** pytest's name of a test, split as in its JUnit file. */
function nameOf(nodeid: string): string {
  const [, path, parameters] = /^([^[]*)(.*)$/s.exec(nodeid)!;
  return path!.replace(".py::", ".").replaceAll("::", ".").replaceAll("/", ".") + parameters!;
}

/**
 * The outcomes of a test by its phases: an error in the teardown counts in addition to a failure, and replaces any other outcome.
 * If both count, pytest closes the failure before the teardown, and the error has only the teardown's time.
 */
function endsOf(phases: Phase[]): { outcome: string; reason: string; seconds: number }[] {
  const total = (some: Phase[]) => some.reduce((sum, phase) => sum + phase.seconds, 0);
  const seconds = total(phases);
  const [bad] = phases.filter((phase) => phase.when === "call" && phase.outcome === "failed");
  const [error] = phases.filter((phase) => phase.when !== "call" && phase.outcome === "failed");
  const [skip] = phases.filter((phase) => phase.outcome === "skipped");
  const ends: { outcome: string; word?: string; reason: string; seconds: number }[] = [];
  if (bad !== undefined) {
    const open = error === undefined ? phases : phases.filter((phase) => phase.when !== "teardown");
    ends.push({ outcome: "failed", reason: bad.reason, seconds: total(open) });
  }
  if (error !== undefined) {
    ends.push({
      outcome: "error",
      reason: error.reason,
      seconds: bad === undefined ? seconds : error.seconds,
    });
  }
  if (ends.length === 0 && skip !== undefined) {
    ends.push(
      skip.xfail === null
        ? { outcome: "skipped", reason: skip.reason.replace(/^Skipped: /, ""), seconds }
        : { outcome: "skipped", word: "xfailed", reason: skip.xfail.replace(/^reason: /, ""), seconds },
    );
  }
  return ends.length > 0 ? ends : [{ outcome: "passed", reason: "", seconds }];
}

for (const family of ["xunit1", "xunit2"]) {
  withPytest(`pytest, junit_family ${family}: as its own reports of each phase tell`, async () => {
    const { out } = await pytest(family);
    const phases = Map.groupBy(
      (await Deno.readTextFile(`${folder}/${family}.jsonl`)).trim().split("\n").map((line) =>
        JSON.parse(line) as Phase
      ),
      (phase) => phase.nodeid,
    );
    const expected = [...phases].flatMap(([nodeid, told]) =>
      endsOf(told).map((end) => ({ case: nameOf(nodeid), ...end }))
    );
    // A module that is unreadable or skipped is a case in pytest's JUnit, without phases.
    const modules = [
      { case: "sub.test_broken", outcome: "error", reason: "No module named 'not_there_at_all'", seconds: 0 },
      { case: "sub.test_off", outcome: "skipped", reason: "the whole module", seconds: 0 },
    ];
    const stored = await hub.push(`${folder}/${family}.xml`);
    expect(lines(stored.results)).toEqual(lines([...expected, ...modules]));

    const said = Object.fromEntries(
      [...out.trim().split("\n").at(-1)!.matchAll(/(\d+) (\w+)/g)].map((
        [, count, word],
      ) => [word, Number(count)]),
    );
    expect(said).toMatchObject({ failed: 10, passed: 14, skipped: 6, xfailed: 4, xpassed: 1, errors: 5 });
    // pytest counts both parts of the two tests that pass or skip and then break; an unexpected pass is not a failure.
    expect(stored.counts).toEqual({
      passed: said.passed! + said.xpassed! - 1,
      failed: said.failed,
      error: said.errors,
      skipped: said.skipped! - 1 + said.xfailed!,
    });
    expect(stored.results.filter((result) => result.word === "xfailed")).toHaveLength(said.xfailed!);
    expect(stored.counts).toEqual(tally([...expected, ...modules].map((one) => one.outcome)));

    for (const one of [...expected, ...modules]) {
      const result = stored.results.find((other) =>
        other.case === one.case && other.outcome === one.outcome
      )!;
      // The file has seconds with three decimals.
      expect(Math.abs(result.durationMs! - one.seconds * 1000), one.case).toBeLessThan(ROUNDED_MS);
      // What XML cannot hold, and what is beyond the first plane, pytest writes by its number.
      const reason = one.reason.split("\n")[0]!.replace(
        // deno-lint-ignore no-control-regex
        /[\x00-\x08\x0b-\x1f\x7f-\x9f]|[\u{10000}-\u{10ffff}]/gu,
        (char) => `#x${char.codePointAt(0)!.toString(16).toUpperCase().padStart(2, "0")}`,
      );
      if (one.outcome === "passed") expect(result.message ?? "").toBe("");
      else expect(result.message, one.case).toContain(reason);
    }
    expect(stored.samples).toEqual(
      new Map([["test_all.test_records/1/size", 12], ["test_all.test_records/1/ratio", 0.25]]),
    );
  });
}

withPytest("pytest: captured output in the file does not replace the reason of a failure", async () => {
  await pytest("logged", ..."-o junit_logging=all -o junit_family=xunit2 -k test_fail".split(" "));
  const file = await Deno.readTextFile(`${folder}/logged.xml`);
  expect(file).toContain("said on stderr");
  const failed = (await hub.push(`${folder}/logged.xml`)).results.find((one) =>
    one.case === "test_all.test_fail"
  )!;
  expect(failed.message).toMatch(/^AssertionError: the lists differ[^]*At index 1 diff: 2 != 3/);
});
