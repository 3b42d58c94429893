import type { World } from "./replay.ts";

/** The present time in these worlds. */
export const NOW = new Date("2026-03-10T12:00:00Z");
export const SHA = (digit: number) => String(digit).repeat(40).replaceAll("0", "a");
export const JUNIT = `<testsuite name="s"><testcase classname="c" name="a" time="0.5"/>` +
  `<testcase classname="c" name="b"><failure message="boom"/></testcase></testsuite>`;
export const day = (n: number) => `2026-03-0${n}T10:00:00Z`;
export const ms = (n: number) => Date.parse(day(n));
export const page = <T>(all: T[], from: number, size: number) => all.slice(from, from + size);

/** A Jenkins job with a running, an aborted and a broken build, and four builds with reports. */
export function jenkinsWorld({ builds = 7, order = "newest" } = {}): World {
  const all = Array.from({ length: builds }, (_, at) => {
    const number = at + 1;
    const result = ["SUCCESS", "UNSTABLE", "FAILURE", "ABORTED", "SUCCESS", "SUCCESS", null][at % 7];
    return {
      number,
      url: "https://elsewhere.example.org/",
      timestamp: ms(1) + at * 3_600_000,
      duration: result === null ? 0 : 60_000,
      building: result === null,
      result,
      displayName: `#${number} CL ${1000 + number}`,
      builtOn: "agent-1",
      actions: [{}, null, { parameters: [{ name: "P4_CHANGELIST", value: 1000 + number }] }, {
        lastBuiltRevision: { SHA1: SHA(number % 10) },
      }],
      artifacts: [{ relativePath: "out/results é.xml" }, { relativePath: "out/log.txt" }],
    };
  });
  if (order === "newest") all.reverse();
  const cases = [
    { className: "c", name: "a", status: "FIXED", duration: 0.5, errorDetails: null, errorStackTrace: null },
    {
      className: "c",
      name: "b",
      status: "REGRESSION",
      duration: 0,
      errorDetails: "boom",
      errorStackTrace: "at b",
    },
    { className: "c", name: "d", status: "SKIPPED", duration: 0, skippedMessage: "not today" },
  ];
  return ({ pathname, searchParams }) => {
    const root = "/job/nightly/job/compiler";
    if (pathname === `${root}/api/json`) {
      const [, from, to] = /\{(\d+),(\d+)\}$/.exec(searchParams.get("tree")!)!;
      return { _class: "hudson.model.FreeStyleProject", allBuilds: all.slice(Number(from), Number(to)) };
    }
    const [, number, rest] = new RegExp(`^${root}/(\\d+)/(.*)$`).exec(pathname) ?? [];
    if (rest === "artifact/out/results%20%C3%A9.xml") return new Response(JUNIT);
    if (rest === "artifact/out/log.txt") return new Response("no results here");
    if (rest !== "testReport/api/json" || ["3", "4"].includes(number!)) return undefined;
    if (number === "5") return { childReports: [{ result: { suites: [{ cases: cases.slice(0, 1) }] } }] };
    return { suites: [{ name: "s", cases }] };
  };
}

/** A Buildbot builder: builds with test result sets and with a log, a running and a cancelled build. */
export function buildbotWorld(): World {
  const all = [1, 2, 3, 4, 5].map((number) => ({
    buildid: 100 + number,
    builderid: 7,
    buildrequestid: 1,
    number,
    complete: number !== 5,
    complete_at: number === 5 ? null : ms(number) / 1000 + 60,
    started_at: ms(number) / 1000,
    results: [0, 2, 6, 4, null][number - 1]!,
    state_string:
      ["build successful", "failed tests", "cancelled", "exception worker lost", "building"][number - 1],
    workerid: 3,
    masterid: 1,
    properties: {
      got_revision: [number === 2 ? { llvm: SHA(2), clang: SHA(9) } : SHA(number), "Git"],
      workername: ["worker-3", "Worker"],
    },
  })).reverse();
  const sets = [
    ["performance", "ms", true],
    ["pass_fail", "boolean", true],
    ["fail_only", "message", true],
    ["pass_fail", "boolean", false],
  ].map(([category, value_unit, complete], at) => ({
    test_result_setid: at + 1,
    builderid: 7,
    buildid: 101,
    stepid: 11,
    description: "tests",
    category,
    value_unit,
    complete,
  }));
  const results = (set: number): unknown[] => {
    if (set === 1) {
      return [{ test_resultid: 1, test_name: "c.1", test_code_path: null, line: null, value: "31.25" }];
    }
    if (set === 3) {
      return [{
        test_resultid: 9,
        test_name: null,
        test_code_path: "a.c",
        line: 7,
        value: "unused variable",
      }];
    }
    return Array.from({ length: 1500 }, (_, at) => ({
      test_resultid: 10 + at,
      test_name: `c.${at}`,
      test_code_path: null,
      line: null,
      value: at % 100 === 99 ? "0" : "1",
    }));
  };
  return ({ pathname, searchParams: query }) => {
    const [limit, offset] = [Number(query.get("limit")), Number(query.get("offset"))];
    const path = pathname.replace("/api/v2/", "");
    if (path === "builders") {
      return { builders: [{ builderid: 7, name: query.get("name"), tags: [] }], meta: { total: 1 } };
    }
    if (path === "builders/7/builds") {
      return { builds: page(all, offset, limit), meta: { total: all.length } };
    }
    if (path === "builds/101/test_result_sets") return { test_result_sets: sets, meta: { total: 4 } };
    if (/^builds\/\d+\/test_result_sets$/.test(path)) return { test_result_sets: [], meta: { total: 0 } };
    if (/^builds\/\d+\/steps$/.test(path)) {
      return {
        steps: [
          {
            stepid: 11,
            number: 0,
            name: "compile",
            results: 1,
            started_at: 10,
            complete_at: 12,
            hidden: false,
          },
          {
            stepid: 12,
            number: 1,
            name: "check",
            results: 2,
            started_at: 12,
            complete_at: 13.5,
            state_string: "1 failed",
          },
          { stepid: 13, number: 2, name: "tidy", results: 0, started_at: 13, complete_at: 14, hidden: true },
        ],
      };
    }
    if (path === "steps/12/logs") {
      return { logs: [{ logid: 5, name: "stdio", type: "s" }, { logid: 6, name: "junit.xml", type: "t" }] };
    }
    if (/^steps\/\d+\/logs$/.test(path)) return { logs: [] };
    if (path === "logs/6/raw") return new Response(JUNIT, { headers: { "content-type": "text/plain" } });
    const set = /^test_result_sets\/(\d+)\/results$/.exec(path)?.[1];
    return set === undefined ? undefined : { test_results: page(results(Number(set)), offset, limit) };
  };
}
