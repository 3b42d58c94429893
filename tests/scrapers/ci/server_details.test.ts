import { afterEach, expect, test } from "vitest";
import { BuildbotScraper } from "../../../scrapers/ci/buildbot.ts";
import { GitHubScraper } from "../../../scrapers/ci/github.ts";
import { GitLabScraper } from "../../../scrapers/ci/gitlab.ts";
import { JenkinsScraper } from "../../../scrapers/ci/jenkins.ts";
import { LntScraper } from "../../../scrapers/ci/lnt.ts";
import { NOW } from "../../helpers/ci_servers.ts";
import { replay, scrapeWith, type World } from "../../helpers/replay.ts";
import { zipOf } from "../../helpers/zip.ts";

const servers: { close(): Promise<void> }[] = [];
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()));
});

async function scrape(
  scraper: unknown,
  world: World,
  settings: Record<string, unknown>,
  watermark: string | null = null,
  maxBytes?: number,
) {
  const server = replay(world);
  servers.push(server);
  return await scrapeWith(scraper, { ...settings, url: server.url }, {
    hosts: [server.host],
    now: NOW,
    watermark,
    maxBytes,
  });
}

const ago = (hours: number) => new Date(NOW.getTime() - hours * 3_600_000).toISOString();

function githubRun(id: number, more: Record<string, unknown> = {}) {
  return {
    id,
    head_sha: "a".repeat(40),
    run_attempt: 1,
    status: "completed",
    conclusion: "failure",
    created_at: ago(5),
    updated_at: ago(4),
    ...more,
  };
}
const tapZip = (text: string) => new Response(zipOf({ "r.tap": text }) as BodyInit);

test("github: the newest artifact of a name counts, and an expired one is no empty result", async () => {
  const artifacts: Record<string, object[]> = {
    1: [{ id: 11, name: "results", expired: false }, { id: 22, name: "results", expired: false }, {
      id: 12,
      name: "other",
    }],
    2: [{ id: 31, name: "results", expired: true }],
    3: [],
  };
  const world: World = ({ pathname }) => {
    if (pathname.endsWith("/actions/runs")) {
      return { workflow_runs: [githubRun(1, { run_attempt: 2 }), githubRun(2), githubRun(3)] };
    }
    const run = /runs\/(\d+)\/artifacts$/.exec(pathname)?.[1];
    if (run !== undefined) return { artifacts: artifacts[run] };
    if (pathname.endsWith("/jobs")) return { jobs: [] };
    const id = /artifacts\/(\d+)\/zip$/.exec(pathname)![1];
    return tapZip(`1..1\n${id === "11" ? "not ok" : "ok"} 1 - of ${id === "12" ? "other" : "results"}\n`);
  };
  const found = await scrape(new GitHubScraper(), world, { repository: "o/r" });
  expect(
    found.runs.map((run) => [run.externalId, run.status, run.results.map((one) => [one.case, one.outcome])]),
  )
    .toEqual([
      ["1", "done", [["of results", "passed"], ["of other", "passed"]]],
      ["3", "lab_error", []],
    ]);
  expect(found.ignored).toMatchObject({
    "has results that no longer exist": 1,
    "is an artifact that has expired": 1,
  });
});

test("github: a short page may be followed by others", async () => {
  const all = Array.from({ length: 7 }, (_, at) => githubRun(at + 1, { conclusion: "success" }));
  const world: World = ({ pathname, searchParams, origin }) => {
    if (!pathname.endsWith("/actions/runs")) {
      return pathname.endsWith("/artifacts") ? { artifacts: [{ id: 1, name: "a" }] } : tapZip("1..1\nok 1\n");
    }
    const at = Number(searchParams.get("page"));
    return Response.json({ workflow_runs: all.slice((at - 1) * 3, at * 3) }, {
      headers: at < 3 ? { link: `<${origin}${pathname}?page=${at + 1}>; title="a, b"; rel="next"` } : {},
    });
  };
  const found = await scrape(new GitHubScraper(), world, { repository: "o/r" });
  expect(found.runs).toHaveLength(7);
});

test(
  "jenkins: invalid numbers, a too large artifact beside a good one, and a sign-in page",
  async () => {
    const build = (number: number, artifacts: string[] = []) => ({
      number,
      timestamp: NOW.getTime() - (20 - number) * 3_600_000,
      duration: 1,
      result: "SUCCESS",
      artifacts: artifacts.map((relativePath) => ({ relativePath })),
      actions: [null, {}, { parameters: [null, { name: "x", value: null }] }],
    });
    const settings = { job: "j", changelist: "number" };
    const nan = await scrape(
      new JenkinsScraper(),
      ({ pathname }) =>
        pathname === "/job/j/api/json" ? { allBuilds: [build(1)] } : new Response(
          '{"suites":[{"cases":[{"name":"a","status":"PASSED","duration":NaN},{"name":"of: NaN, b","status":"PASSED"}]}]}',
        ),
      settings,
    );
    expect(nan.runs.map((run) => run.results)).toEqual([[{ case: "a", outcome: "passed" }, {
      case: "of: NaN, b",
      outcome: "passed",
    }]]);
    const files: World = ({ pathname }) => {
      if (pathname === "/job/j/api/json") {
        return {
          allBuilds: [build(3, ["sign.xml"]), build(2, ["gone.xml"]), build(1, ["big.tap", "r.tap"])],
        };
      }
      if (pathname.endsWith("sign.xml")) {
        return new Response("<html>please sign in</html>", {
          headers: { "content-type": "text/html; charset=utf-8" },
        });
      }
      if (pathname.endsWith("gone.xml")) return undefined;
      if (pathname.endsWith("/r.tap")) return new Response("1..1\nok 1 - a\n");
      return new Response(`1..1\nok 1 - b\n${"# words\n".repeat(1 << 17)}`);
    };
    const artifacts = { ...settings, results: "artifacts" };
    const found = await scrape(new JenkinsScraper(), files, artifacts, null, 1 << 20);
    expect(found.limits.get("/job/j/1/artifact/big.tap")).toBe(256 << 20);
    expect(found.runs.map((run) => [run.externalId, run.results.length])).toEqual([["1", 1]]);
    expect(found.ignored).toEqual({
      "is a result file that cannot be read": 1,
      "is a result file that no longer exists": 1,
      "has results that no longer exist": 1,
      "cannot be read now; the next scrape retries it": 1,
    });
    expect(found.samples.find((one) => one.reason.startsWith("cannot be read now"))!.place).toContain(
      "returned an HTML page",
    );
    const roomy = await scrape(new JenkinsScraper(), files, artifacts, null, 2 << 20);
    expect(roomy.runs.map((run) => [run.externalId, run.results.length])).toEqual([["1", 2]]);
  },
);

test("gitlab: an unreadable suite is reported, and a forbidden commit does not end the scrape", async () => {
  const pipeline = {
    id: 5,
    sha: "b".repeat(40),
    ref: "main",
    status: "success",
    created_at: ago(3),
    updated_at: ago(2),
  };
  const world: World = ({ pathname }) =>
    pathname.endsWith("/pipelines")
      ? [pipeline]
      : pathname.includes("/commits/")
      ? new Response("", { status: 403 })
      : {
        test_suites: [
          { name: "bad", suite_error: "JUnit XML parsing failed: 1:1", test_cases: [] },
          { name: "good", test_cases: [{ status: "success", name: "a" }] },
        ],
      };
  const found = await scrape(new GitLabScraper(), world, { project: "g/p" });
  expect([found.error, found.runs.map((run) => run.results.length)]).toEqual([undefined, [1]]);
  expect(found.samples).toEqual([{
    place: "5 bad: JUnit XML parsing failed: 1:1",
    reason: "is a test suite that GitLab could not read",
  }]);
});

test("buildbot: a master without test result sets reports failed builds; units are cut to fit", async () => {
  const world: World = ({ pathname }) => {
    if (pathname.endsWith("/builders")) return { builders: [{ builderid: 1, name: "b" }] };
    if (pathname.endsWith("/builds")) {
      return {
        builds: [7, 8].map((buildid) => ({
          buildid,
          builderid: 1,
          number: buildid,
          complete: true,
          complete_at: NOW.getTime() / 1000 - 10,
          started_at: NOW.getTime() / 1000 - 100,
          results: 2,
          state_string: "failed make",
          properties: { got_revision: ["12", "Git"] },
        })),
      };
    }
    if (pathname.endsWith("/builds/8/test_result_sets")) {
      return {
        test_result_sets: [{
          test_result_setid: 1,
          category: "size",
          value_unit: `\0${"b".repeat(5000)}`,
          complete: true,
        }],
      };
    }
    return pathname.endsWith("/results") ? { test_results: [{ test_name: "a", value: "3" }] } : undefined;
  };
  const found = await scrape(new BuildbotScraper(), world, { builder: "b" });
  expect(found.runs.map((run) => [run.externalId, run.status, run.reason])).toEqual([
    ["7", "lab_error", "the build produced no results: failed make"],
    ["8", "done", undefined],
  ]);
  expect(found.runs[1]!.results[0]!.samples![0]!.unit).toBe("\uFFFD" + "b".repeat(31));
});

test("lnt: runs older than the first scrape's window are never read", async () => {
  const runs = (fresh: number[]) => [
    ...Array.from(
      { length: 30 },
      (_, at) => ({ id: at + 1, start_time: "2017-01-01 00:00:00", llvm_project_revision: "5" }),
    ),
    ...fresh.map((id) => ({ id, start_time: ago(2).slice(0, 19), llvm_project_revision: "9" })),
  ];
  const world = (fresh: number[]): World => ({ pathname }) =>
    pathname.endsWith("/machines")
      ? { machines: [{ id: 1, name: "m" }] }
      : pathname.endsWith("/machines/1")
      ? { runs: runs(fresh) }
      : { format_version: "2", machine: { name: "m" }, run: {}, tests: [{ name: "a", execution_time: 1 }] };
  const first = await scrape(new LntScraper(), world([]), {});
  expect(first.runs).toEqual([]);
  const second = await scrape(new LntScraper(), world([31]), {}, first.watermark);
  expect(second.runs.map((run) => run.externalId)).toEqual(["31"]);
  const third = await scrape(new LntScraper(), world([31, 32]), {}, second.watermark);
  expect(third.runs.map((run) => run.externalId)).toEqual(["32"]);
});
