import { afterAll, beforeAll, expect, test } from "vitest";
import { listBadHistories } from "../../../db/analysis/answers.ts";
import { listChangelists } from "../../../db/drop/build_list.ts";
import { openDatabase } from "../../../db/core/client.ts";
import type { Db } from "../../../db/core/queryable.ts";
import { listComparedCases, listOutcomePairs } from "../../../db/analysis/compare.ts";
import { exportRun } from "../../../db/results/run_export.ts";
import { listResults } from "../../../db/results/result_list.ts";
import { listRunResults, listSummary } from "../../../db/results/results.ts";
import { listRuns } from "../../../db/results/runs.ts";
import { listRunSamples, listSamples } from "../../../db/results/samples.ts";
import { listScrapes } from "../../../db/tests/scrapes.ts";
import { compareQuery, culpritQuery } from "../../../schemas/answer.ts";
import { changelistList } from "../../../schemas/build.ts";
import { resultList, summaryList } from "../../../schemas/result.ts";
import { runList } from "../../../schemas/run.ts";
import { sampleList } from "../../../schemas/sample.ts";
import { type TestDatabase, testDatabase } from "../../helpers/postgres.ts";

const RUNS = 50_000;
const LARGE = [
  "builds",
  "runs",
  "scrapes",
  "results_0",
  "results_1",
  "results_2",
  "samples_0",
  "samples_1",
  "samples_2",
];

let database: TestDatabase;
/** A single connection, so that its statistics can be queried. */
let sql: Db;
let packageId: number;

/** 100 tests of 500 runs each, 4 results a run over three partitions; 200 packages of 300 builds; scrapes. */
beforeAll(async () => {
  database = await testDatabase();
  sql = openDatabase(database.url, { max: 1 });
  await sql`select ensure_results_partition(${RUNS})`;
  await sql`insert into environments (keys) values ('{"os": "linux"}')`;
  await sql`insert into tests (name, scraper) select 't' || n, 'push' from generate_series(1, 100) as n`;
  await sql`
    insert into cases (test_id, name) select t, 'c' || c from generate_series(1, 100) as t, generate_series(1, 4) as c`;
  await sql`
    insert into runs (test_id, source, external_id, axis_id, changelist, environment_id, status, counts)
    select n % 100 + 1, 's', n::text, 1, n / 100 + 1, 1, 'done', '{"passed": 3, "failed": 1}'
    from generate_series(1, ${RUNS}) as n`;
  await sql`
    insert into results (run_id, case_id, ordinal, outcome, changelist)
    select runs.id, cases.id, 1, case when cases.id % 4 = 0 and runs.changelist > 100 then 3 else 1 end, runs.changelist
    from runs join cases on cases.test_id = runs.test_id`;
  await sql`insert into metrics (name) values ('time'), ('size')`;
  await sql`
    insert into samples (run_id, case_id, metric_id, ordinal, changelist, value)
    select run_id, case_id, metrics.id, 1, changelist, 1 from results, metrics`;
  await sql`insert into roots (url, name) values ('file:///a', 'a')`;
  await sql`insert into packages (name) select 'p' || n from generate_series(1, 200) as n`;
  await sql`
    insert into builds (root_id, package_id, changelist, file, first_seen)
    select 1, packages.id, n, 'SW_' || n, now() from packages, generate_series(1, 300) as n`;
  await sql`
    insert into scrapes (test_id, state, cause, started_at)
    select n % 100 + 1, 'done', 'schedule', now() from generate_series(1, 20000) as n`;
  await sql`analyze`;
  const [row] = await sql`select id from packages where name = 'p7'`;
  packageId = row!.id;
});
afterAll(async () => {
  await sql.end();
  await database.drop();
});

/** Rows of large tables read by sequential scans, and by indexes, since `before`. */
async function reads(): Promise<{ bySequence: number; byIndex: number }> {
  await sql`select pg_stat_force_next_flush()`.catch(() => {});
  await sql`select pg_stat_clear_snapshot()`;
  const [row] = await sql<[{ bySequence: number; byIndex: number }]>`
    select sum(seq_tup_read)::bigint as "bySequence", sum(coalesce(idx_tup_fetch, 0))::bigint as "byIndex"
    from pg_stat_user_tables where relname = any(${LARGE})`;
  return row;
}

const deepRuns = async (limit: number) => {
  const page = await listRuns(sql, runList.parse({ test: "t5", limit }));
  return await listRuns(sql, runList.parse({ test: "t5", limit: 50, cursor: page.nextCursor! }));
};

const QUESTIONS: Record<string, { ask: () => Promise<unknown>; rows: number }> = {
  "runs of a test": { ask: () => listRuns(sql, runList.parse({ test: "t5", limit: 50 })), rows: 200 },
  "runs of all tests": { ask: () => listRuns(sql, runList.parse({ limit: 50 })), rows: 200 },
  "runs deep in a test": { ask: () => deepRuns(400), rows: 1500 },
  "results of a run": {
    ask: () => listRunResults(sql, { id: 25_000, limit: 50 }),
    rows: 50,
  },
  "results of a test": {
    ask: () => listResults(sql, resultList.parse({ test: "t5", limit: 50 })),
    rows: 3000,
  },
  "results of a case": {
    ask: () => listResults(sql, resultList.parse({ test: "t5", case: "c2", limit: 50 })),
    rows: 2000,
  },
  "samples of a run": { ask: () => listRunSamples(sql, { id: 25_000, limit: 50 }), rows: 50 },
  "a metric of a case": {
    ask: () => listSamples(sql, sampleList.parse({ test: "t5", case: "c2", metric: "time", limit: 50 })),
    rows: 2000,
  },
  "a run going out": { ask: () => Array.fromAsync(exportRun(sql, 25_000)), rows: 50 },
  "a summary": { ask: () => listSummary(sql, summaryList.parse({ test: "t5", limit: 20 })), rows: 200 },
  "a comparison": {
    ask: async () => {
      const input = compareQuery.parse({ test: "t5", base: 90, head: 110, limit: 50 });
      const { pairs } = await listOutcomePairs(sql, input);
      return await listComparedCases(sql, input, { pairs, after: 0, limit: 50 });
    },
    rows: 100,
  },
  "a culprit": {
    ask: () => listBadHistories(sql, culpritQuery.parse({ test: "t5", limit: 10 }), undefined),
    rows: 6000,
  },
  "changelists of a package": {
    ask: () => listChangelists(sql, changelistList.parse({ name: "p7", available: true })),
    rows: 500,
  },
  "scrapes of a test": { ask: () => listScrapes(sql, 5, { limit: 20 }), rows: 50 },
};

test.each(Object.entries(QUESTIONS))(
  "%s scans no large table in full",
  async (_name, { ask, rows }) => {
    expect(packageId).toBeGreaterThan(0);
    const before = await reads();
    await ask();
    const after = await reads();
    expect(after.bySequence - before.bySequence).toBe(0);
    expect(after.byIndex - before.byIndex).toBeLessThan(rows);
  },
);
