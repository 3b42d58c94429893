import { day, JUNIT, ms, page, SHA } from "./ci_servers.ts";
import type { World } from "./replay.ts";
import { zipOf } from "./zip.ts";

/** A GitLab project: pipelines that succeeded, failed with and without a report, were cancelled, and still run. */
export function gitlabWorld({ shuffled = false } = {}): World {
  const all = ["success", "failed", "failed", "canceled", "running"].map((status, at) => ({
    id: 50 + at,
    iid: at,
    project_id: 1,
    sha: SHA(at + 1),
    ref: "main",
    status,
    source: "schedule",
    created_at: day(at + 1),
    updated_at: day(at + 2),
    web_url: `https://gitlab.example.org/g/p/-/pipelines/${50 + at}`,
  }));
  return ({ pathname, searchParams }) => {
    const root = "/api/v4/projects/g%2Fp";
    if (pathname === `${root}/pipelines`) {
      const after = searchParams.get("updated_after")!;
      const asked = all.filter((one) => one.updated_at >= after);
      if (shuffled) asked.reverse();
      const at = Number(searchParams.get("page"));
      const isLast = at * 2 >= asked.length;
      return Response.json(page(asked, (at - 1) * 2, 2), {
        headers: { "x-next-page": isLast ? "" : String(at + 1), "ratelimit-remaining": "500" },
      });
    }
    const sha = new RegExp(`^${root}/repository/commits/(\\w+)$`).exec(pathname)?.[1];
    if (sha !== undefined) return { id: sha, committed_date: "2026-02-28T12:00:00.000+02:00" };
    const id = new RegExp(`^${root}/pipelines/(\\d+)/test_report$`).exec(pathname)?.[1];
    if (id === undefined) return undefined;
    if (id === "52") return { total_count: 0, test_suites: [] };
    return {
      total_time: 5,
      total_count: 4,
      test_suites: [{
        name: "unit",
        test_cases: [
          {
            status: "success",
            name: "a",
            classname: "c",
            execution_time: 0.5,
            system_output: null,
            stack_trace: null,
          },
          {
            status: "failed",
            name: "b",
            classname: "c",
            execution_time: 1,
            system_output: "boom",
            stack_trace: "at b",
          },
          {
            status: "skipped",
            name: "d",
            classname: "c",
            execution_time: 0,
            system_output: { message: "no" },
          },
          { status: "error", name: "e", classname: null, execution_time: 0, system_output: null },
        ],
      }],
    };
  };
}

/** A GitHub repository with `count` runs, one per minute; the API lists at most 1000. */
export function githubWorld({ count = 4, far = "" } = {}): World {
  const all = Array.from({ length: count }, (_, at) => ({
    id: 9000 + at,
    name: "nightly",
    head_branch: "main",
    head_sha: SHA(at % 9 + 1),
    run_attempt: at === 1 ? 2 : 1,
    run_number: at,
    check_suite_id: 70 + at,
    event: "schedule",
    status: at === 3 ? "in_progress" : "completed",
    conclusion: at === 3 ? null : at === 2 ? "failure" : "success",
    created_at: new Date(ms(1) + at * 60_000).toISOString().replace(".000", ""),
    updated_at: new Date(ms(1) + at * 60_000 + 30_000).toISOString().replace(".000", ""),
    run_started_at: new Date(ms(1) + at * 60_000).toISOString().replace(".000", ""),
    html_url: `https://github.example.org/o/r/actions/runs/${9000 + at}`,
    head_commit: { id: SHA(1), timestamp: "2026-02-27T09:00:00Z" },
  })).reverse();
  return ({ pathname, searchParams: query }) => {
    const root = "/repos/o/r";
    const size = Number(query.get("per_page"));
    if (pathname === `${root}/actions/workflows/nightly.yml/runs`) {
      const [from, to = "9"] = query.get("created")!.replace(">=", "").split("..");
      const asked = all.filter((run) => run.created_at >= from! && run.created_at <= to).slice(0, 1000);
      return {
        total_count: asked.length,
        workflow_runs: page(asked, (Number(query.get("page")) - 1) * size, size),
      };
    }
    if (/\/runs\/9002\/artifacts$/.test(pathname)) return { total_count: 0, artifacts: [] };
    if (/\/runs\/\d+\/artifacts$/.test(pathname)) {
      return {
        total_count: 3,
        artifacts: [
          { id: 1, name: "results", size_in_bytes: 300, expired: false },
          { id: 2, name: "binaries", size_in_bytes: 9, expired: false },
          { id: 3, name: "results-old", size_in_bytes: 9, expired: true },
        ],
      };
    }
    if (pathname === `${root}/actions/artifacts/1/zip`) return Response.redirect(`${far}/blob/1?signature=x`);
    if (pathname === "/blob/1") return new Response(new Uint8Array(zipOf({ "out/junit.xml": JUNIT })));
    if (/\/check-suites\/\d+\/check-runs$/.test(pathname)) {
      return {
        total_count: 2,
        check_runs: [
          {
            id: 1,
            name: "build",
            status: "completed",
            conclusion: "success",
            started_at: day(1),
            completed_at: day(1),
          },
          {
            id: 2,
            name: "lint",
            status: "completed",
            conclusion: "timed_out",
            output: { title: "too slow" },
          },
        ],
      };
    }
    return undefined;
  };
}

/** An LNT server with two machines; a run's order is a number or a commit's hash. */
export function lntWorld(): World {
  const run = (id: number, revision: string) => ({
    id,
    start_time: day(id % 9 || 1).replace("Z", ""),
    end_time: day(id % 9 || 1).replace("Z", ""),
    llvm_project_revision: revision,
    order_by: "llvm_project_revision",
    order_id: id,
  });
  return ({ pathname }) => {
    const path = pathname.replace("/api/db_default/v4/nts/", "");
    if (path === "machines") {
      return { machines: [{ id: 1, name: "m1", os: "linux" }, { id: 2, name: "m2", os: "linux" }] };
    }
    if (path === "machines/1") {
      return { machine: { id: 1, name: "m1" }, runs: [run(3, "154331"), run(5, SHA(5))] };
    }
    if (path === "machines/2") return { machine: { id: 2, name: "m2" }, runs: [run(4, "10.2.3 x")] };
    const id = /^runs\/(\d+)$/.exec(path)?.[1];
    return id === undefined ? undefined : {
      generated_by: "LNT Server v0.4.2.dev0",
      machine: { id: 1, name: "m1" },
      run: run(Number(id), "154331"),
      tests: [
        {
          id: 1,
          run_id: Number(id),
          name: "SingleSource/a",
          compile_time: 0.25,
          execution_status: null,
          hash: null,
        },
        {
          id: 2,
          run_id: Number(id),
          name: "SingleSource/b",
          compile_time: null,
          execution_status: 1,
          hash: "ab12",
        },
      ],
    };
  };
}
