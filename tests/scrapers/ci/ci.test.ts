import { afterEach, expect, test } from "vitest";
import { GitHubScraper } from "../../../scrapers/ci/github.ts";
import { CASES, scrape } from "../../helpers/ci_cases.ts";
import { NOW, SHA } from "../../helpers/ci_servers.ts";
import { githubWorld } from "../../helpers/git_hosts.ts";
import { replay, scrapeWith } from "../../helpers/replay.ts";

const servers: { close(): Promise<void> }[] = [];
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()));
});

const A = { case: "c.a", outcome: "passed", durationMs: 500 };
const B = { case: "c.b", outcome: "failed" };

test("jenkins: a run of each finished build, by commit, with its test report", async () => {
  const { runs, error, ignored } = await scrape("jenkins");
  expect(error).toBeUndefined();
  expect(runs.map((run) => [run.externalId, run.changelist, run.status, run.results.length])).toEqual([
    ["1", `label:${SHA(1)}`, "done", 3],
    ["2", `label:${SHA(2)}`, "done", 3],
    ["3", `label:${SHA(3)}`, "lab_error", 0],
    ["5", `label:${SHA(5)}`, "done", 1],
    ["6", `label:${SHA(6)}`, "done", 3],
  ]);
  expect(runs[0]).toEqual({
    externalId: "1",
    attempt: 1,
    axis: "main",
    changelist: `label:${SHA(1)}`,
    environment: { machine: "agent-1" },
    status: "done",
    startedAt: "2026-03-01T10:00:00.000Z",
    finishedAt: "2026-03-01T10:01:00.000Z",
    url: "/job/nightly/job/compiler/1/",
    results: [
      A,
      { ...B, durationMs: 0, message: "boom\nat b" },
      { case: "c.d", outcome: "skipped", durationMs: 0, message: "not today" },
    ],
  });
  expect(runs[2]!.reason).toContain("failed and produced no results");
  expect(ignored).toEqual({
    "has not finished yet": 1,
    "has no test results, and the build's result is ABORTED": 1,
  });
});

test("jenkins: changelists from parameters and names, and archived files", async () => {
  const { runs } = await scrape("jenkins", { more: { changelist: "parameter:P4_CHANGELIST" } });
  expect(runs.map((run) => run.changelist)).toEqual([1001, 1002, 1003, 1005, 1006]);
  const none = await scrape("jenkins", { more: { changelist: "parameter:NONE" } });
  expect([none.runs.length, none.ignored["has no changelist in its parameter:NONE"]]).toEqual([0, 6]);
  const files = await scrape("jenkins artifacts", { more: { environment: { os: "linux" }, package: "p" } });
  expect(files.runs[3]).toMatchObject({
    changelist: 4,
    package: "p",
    environment: { os: "linux", machine: "agent-1" },
    results: [A, { ...B, message: "boom" }],
  });
  expect(files.ignored["is a file of an unknown format"]).toBe(6);
});

test("buildbot: test result sets, whatever their order and size, with measured values on their cases", async () => {
  const { runs, error, ignored } = await scrape("buildbot");
  expect(error).toBeUndefined();
  expect(runs.map((run) => [run.externalId, run.changelist, run.status, run.results.length])).toEqual([
    ["101", `label:${SHA(1)}`, "done", 1501],
    ["102", `label:${SHA(2)}`, "lab_error", 0],
    ["104", `label:${SHA(4)}`, "lab_error", 0],
  ]);
  const { results, environment, url } = runs[0]!;
  expect([environment, url]).toEqual([{ machine: "worker-3" }, "/#/builders/7/builds/1"]);
  expect(results.filter((one) => one.outcome === "failed").length).toBe(16);
  expect(results[1]).toEqual({
    case: "c.1",
    outcome: "passed",
    samples: [{ metric: "performance", value: 31.25, unit: "ms" }],
  });
  expect(results.at(-1)).toEqual({ case: "a.c:7", outcome: "failed", message: "unused variable" });
  expect(runs[2]!.reason).toBe("the build produced no results: exception worker lost");
  expect(ignored).toMatchObject({
    "has not finished yet": 1,
    "was cancelled": 1,
    "is a test result set that was never completed": 1,
  });
});

test("buildbot: steps as cases, and result files in logs", async () => {
  const { runs } = await scrape("buildbot", { more: { results: "steps" } });
  expect(runs[0]!.results).toEqual([
    { case: "compile", outcome: "passed", word: "warnings", durationMs: 2000 },
    { case: "check", outcome: "failed", durationMs: 1500, message: "1 failed" },
  ]);
  const logs = await scrape("buildbot logs");
  expect(logs.runs.map((run) => [run.changelist, run.results])).toContainEqual([
    `label:${SHA(2)}`,
    [A, { ...B, message: "boom" }],
  ]);
});

test("gitlab: test reports of pipelines, with the commits' times", async () => {
  const { runs, error, ignored } = await scrape("gitlab");
  expect(error).toBeUndefined();
  expect(runs.map((run) => [run.externalId, run.status, run.committedAt, run.results.length])).toEqual([
    ["50", "done", "2026-02-28T10:00:00.000Z", 4],
    ["51", "done", "2026-02-28T10:00:00.000Z", 4],
    ["52", "lab_error", "2026-02-28T10:00:00.000Z", 0],
  ]);
  expect(runs[0]!.results).toEqual([
    A,
    { ...B, durationMs: 1000, message: "boom\nat b" },
    { case: "c.d", outcome: "skipped", durationMs: 0, message: '{"message":"no"}' },
    { case: "e", outcome: "error", durationMs: 0 },
  ]);
  expect(ignored).toEqual({ "has not finished yet": 1, "was canceled": 1 });
});

test("github: result files in artifacts on another host, and check runs as cases", async () => {
  const { runs, error, ignored } = await scrape("github");
  expect(error).toBeUndefined();
  expect(runs.map((run) => [run.externalId, run.attempt, run.status, run.results.length])).toEqual([
    ["9000", 1, "done", 2],
    ["9001", 2, "done", 2],
    ["9002", 1, "lab_error", 0],
  ]);
  expect(runs[0]).toMatchObject({
    changelist: `label:${SHA(1)}`,
    committedAt: "2026-02-27T09:00:00.000Z",
    environment: { branch: "main", workflow: "nightly" },
    results: [A, { ...B, message: "boom" }],
  });
  expect(ignored["is an artifact that has expired"]).toBe(2);
  const checks = await scrape("github", { more: { results: "checks" } });
  expect(checks.runs[0]!.results).toEqual([
    { case: "build", outcome: "passed", durationMs: 0 },
    { case: "lint", outcome: "timeout", word: "timed_out", message: "too slow" },
  ]);
});

test("github: runs beyond a list's limit are fetched with further lists", async () => {
  const server = replay(githubWorld({ count: 2350 }));
  servers.push(server);
  const settings = { url: server.url, repository: "o/r", workflow: "nightly.yml", results: "checks" };
  const { runs, error } = await scrapeWith(new GitHubScraper(), settings, { hosts: [server.host], now: NOW });
  expect(error).toBeUndefined();
  expect(new Set(runs.map((run) => run.externalId)).size).toBe(2349);
});

test("lnt: runs of all machines or some, by order, with samples", async () => {
  const { runs, error, ignored } = await scrape("lnt");
  expect(error).toBeUndefined();
  expect(runs.map((run) => [run.externalId, run.changelist, run.environment])).toEqual([
    ["3", 154331, { machine: "m1" }],
    ["5", `label:${SHA(5)}`, { machine: "m1" }],
  ]);
  expect(ignored).toEqual({ "has no changelist in its order's llvm_project_revision": 1 });
  expect(runs[0]).toMatchObject({
    startedAt: "2026-03-03T10:00:00.000Z",
    results: [
      { case: "SingleSource/a", outcome: "passed", samples: [{ metric: "compile_time", value: 0.25 }] },
      {
        case: "SingleSource/b",
        outcome: "failed",
        samples: [{ metric: "execution_status", value: 1 }, { metric: "hash", value: "ab12" }],
      },
    ],
  });
  expect((await scrape("lnt", { more: { machines: ["m2"] } })).runs).toEqual([]);
  expect(String((await scrape("lnt", { more: { machines: ["m9"] } })).error)).toContain('no machine "m9"');
});

test("each scraper sends its secret in its server's form; settings with a secret of another host are refused", async () => {
  const wanted: Record<string, [string, string]> = {
    jenkins: ["authorization", `Basic ${btoa("u:t")}`],
    buildbot: ["authorization", `Basic ${btoa("u:t")}`],
    gitlab: ["private-token", "u:t"],
    github: ["authorization", "Bearer u:t"],
    lnt: ["authtoken", "u:t"],
  };
  for (const [name, [header, value]] of Object.entries(wanted)) {
    const { make, scraper, settings } = CASES[name]!;
    const far = replay((url, { headers }) =>
      headers.has("authorization") ? undefined : githubWorld()(url, new Request(url))
    );
    const world = make(far.url);
    const server = replay((url, request) =>
      request.headers.get(header) === value ? world(url, request) : new Response("", { status: 401 })
    );
    servers.push(far, server);
    const secrets = [{ name: "s", origins: [server.url], place: "", read: () => Promise.resolve("u:t") }];
    const options = { hosts: [server.host, far.host], now: NOW, secrets };
    const found = await scrapeWith(scraper, { ...settings(server.url), secret: "s" }, options);
    expect([name, found.error, found.runs.length > 0]).toEqual([name, undefined, true]);
    const other = [{ ...secrets[0]!, origins: ["https://other.example.org"] }];
    const refused = await scrapeWith(scraper, { ...settings(server.url), secret: "s" }, {
      ...options,
      secrets: other,
    });
    expect(refused.error).toMatchObject({
      code: "BAD_REQUEST",
      message: expect.stringContaining("may not be sent"),
    });
  }
});
