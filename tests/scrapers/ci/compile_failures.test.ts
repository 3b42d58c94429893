import { afterEach, expect, test } from "vitest";
import { isCompileStep } from "../../../scrapers/ci/compile_step.ts";
import { scrape } from "../../helpers/ci_cases.ts";
import { CASES } from "../../helpers/ci_cases.ts";
import { NOW } from "../../helpers/ci_servers.ts";
import { replay, scrapeWith, type World } from "../../helpers/replay.ts";

const servers: { close(): Promise<void> }[] = [];
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()));
});

/** The run of one build in a case's world, with other responses for some addresses. */
async function runOf(name: string, id: string, more: World, settings: Record<string, unknown> = {}) {
  const { make, scraper, settings: common } = CASES[name]!;
  const world = make("");
  const server = replay((url, request) => more(url, request) ?? world(url, request));
  servers.push(server);
  const found = await scrapeWith(scraper, { ...common(server.url), ...settings }, {
    hosts: [server.host],
    now: NOW,
  });
  expect(found.error).toBeUndefined();
  return { run: found.runs.find((run) => run.externalId === id), found };
}

test.each([
  ["compile", true],
  ["Build clang (stage 2)", true],
  ["make -j8", true],
  ["cmake-configure", true],
  ["buildLinux", true],
  ["Run ninja all", true],
  ["check-all", false],
  ["ninja check-llvm", false],
  ["build-and-test", false],
  ["Set up build tools", false],
  ["Checkout", false],
  ["Publish the build", false],
  ["stage 2", false],
  ["rebuilding", false],
  ["", false],
  ["x".repeat(100_000), false],
])("whether the step %s compiles the product: %s", (name, expected) => {
  expect(isCompileStep(name)).toBe(expected);
});

test("the first name with a known word decides", () => {
  expect(isCompileStep("linux", "build")).toBe(true);
  expect(isCompileStep("unit tests", "build")).toBe(false);
  expect(isCompileStep("Run ./ci.sh", null, undefined)).toBe(false);
});

const BROKEN = { status: "done" };

test("buildbot: a compile failure if the first failed step compiles", async () => {
  const steps = (...all: [string, number][]): World => ({ pathname }) =>
    pathname.endsWith("/builds/102/steps")
      ? {
        steps: all.map(([name, results], at) => ({
          stepid: at,
          name,
          results,
          started_at: 10,
          complete_at: 12.5,
          state_string: `${name} failed`,
        })),
      }
      : undefined;
  const { run } = await runOf("buildbot", "102", steps(["git", 0], ["compile", 2], ["check", 3]));
  expect(run).toMatchObject({
    ...BROKEN,
    results: [{ case: "compile", outcome: "error", durationMs: 2500, message: "compile failed" }],
  });
  for (
    const other of [
      steps(["git", 2], ["compile", 3]),
      steps(["compile", 4]),
      steps(["compile", 0], ["check", 2], ["make docs", 2]),
    ]
  ) expect((await runOf("buildbot", "102", other)).run).toMatchObject({ status: "lab_error", results: [] });
});

const STAGES = (...stages: object[]): World => ({ pathname }) =>
  pathname.endsWith("/3/wfapi/describe") ? { stages } : undefined;

test("jenkins: a compile failure of a stage whose script failed", async () => {
  const failed = { name: "Build", status: "FAILED", durationMillis: 5000 };
  const script = {
    ...failed,
    error: { message: "script returned exit code 2", type: "hudson.AbortException" },
  };
  const { run } = await runOf(
    "jenkins",
    "3",
    STAGES({ name: "Checkout", status: "SUCCESS" }, script, { name: "Test", status: "FAILED" }),
  );
  expect(run).toMatchObject({
    ...BROKEN,
    results: [{ case: "Build", outcome: "error", durationMs: 5000, message: "script returned exit code 2" }],
  });
  for (
    const other of [
      STAGES({ ...failed, error: { message: "Agent linux-7 went offline during the build" } }),
      STAGES({ ...failed, name: "Checkout" }, failed),
      STAGES({ ...failed, name: "Test" }),
    ]
  ) expect((await runOf("jenkins", "3", other)).run).toMatchObject({ status: "lab_error", results: [] });
});

test("jenkins: a compile failure of a job without stages, by the build step in its log", async () => {
  const log = (text: string): World => ({ pathname }) =>
    pathname.endsWith("/3/consoleText") ? new Response(text) : undefined;
  const { run } = await runOf(
    "jenkins",
    "3",
    log(
      `+ make\nmake: *** [all] Error 1\nBuild step 'Execute shell' marked build as failure\nFinished: FAILURE\n`,
    ),
  );
  expect(run).toMatchObject({ ...BROKEN, results: [{ case: "Execute shell", outcome: "error" }] });
  for (
    const text of [
      "ERROR: Error fetching remote repo 'origin'\nFinished: FAILURE\n",
      "Build step 'Publish JUnit test result report' marked build as failure\n",
      "java.io.IOException: Unexpected termination of the channel\n",
    ]
  ) expect((await runOf("jenkins", "3", log(text))).run).toMatchObject({ status: "lab_error" });
});

test("gitlab: a job that compiles and failed by its script, not by its runner", async () => {
  const jobs = (more: object): World => ({ pathname }) =>
    pathname.endsWith("/pipelines/52/jobs")
      ? [{ name: "linux", stage: "build", failure_reason: "script_failure", duration: 12.5, ...more }]
      : undefined;
  expect((await runOf("gitlab", "52", jobs({}))).run).toMatchObject({
    ...BROKEN,
    results: [{ case: "linux", outcome: "error", durationMs: 12_500 }],
  });
  for (
    const more of [{ failure_reason: "runner_system_failure" }, { stage: "test" }, { allow_failure: true }]
  ) expect((await runOf("gitlab", "52", jobs(more))).run).toMatchObject({ status: "lab_error" });
});

test("gitlab: a report that GitLab could not read is reported", async () => {
  const world: World = ({ pathname }) =>
    pathname.endsWith("/pipelines/51/test_report")
      ? { test_suites: [{ name: "unit", suite_error: "JUnit XML parsing failed: 3:1" }] }
      : undefined;
  expect((await runOf("gitlab", "51", world)).run).toMatchObject({
    status: "lab_error",
    reason: "GitLab could not read the report of unit: JUnit XML parsing failed: 3:1",
  });
});

test("github: a job whose first failed step compiles", async () => {
  const steps = (...all: [string, string][]): World => ({ pathname }) =>
    pathname.endsWith("/actions/runs/9002/attempts/1/jobs")
      ? {
        jobs: [
          {
            name: "linux",
            conclusion: "failure",
            steps: all.map(([name, conclusion]) => ({ name, conclusion })),
          },
          { name: "lint", conclusion: "success", steps: [] },
        ],
      }
      : undefined;
  const { run } = await runOf("github", "9002", steps(["Checkout", "success"], ["Run make -j4", "failure"]));
  expect(run).toMatchObject({
    ...BROKEN,
    results: [{ case: "linux", outcome: "error", message: "The step Run make -j4 failed." }],
  });
  for (const other of [steps(["Set up job", "failure"]), steps(["Run tests", "failure"])]) {
    expect((await runOf("github", "9002", other)).run).toMatchObject({ status: "lab_error" });
  }
});

test("an unreadable result file is reported with its reason, whether the build failed or not", async () => {
  const half: World = ({ pathname }) =>
    /artifact\/out\/results/.test(pathname) ? new Response("<testsuite><testcase name='a'>") : undefined;
  const jenkins = await runOf("jenkins artifacts", "1", half);
  expect(jenkins.run).toMatchObject({
    status: "lab_error",
    reason: expect.stringContaining("out/results é.xml cannot be read: Not a readable JUnit XML file"),
  });
  expect(jenkins.found.ignored["is a result file that cannot be read"]).toBeGreaterThan(0);
  const log: World = ({ pathname }) =>
    pathname.endsWith("/logs/6/raw") ? new Response("<testsuite>") : undefined;
  const buildbot = await runOf("buildbot logs", "102", log);
  expect(buildbot.run).toMatchObject({
    status: "lab_error",
    reason: expect.stringContaining("junit.xml cannot be read"),
  });
});

test("builds that failed for an unknown reason stay lab errors", async () => {
  for (const [name, id] of [["jenkins", "3"], ["buildbot", "102"], ["gitlab", "52"], ["github", "9002"]]) {
    const { runs } = await scrape(name!);
    expect(runs.find((run) => run.externalId === id)).toMatchObject({ status: "lab_error", results: [] });
  }
});
