import type { Page } from "../schemas/common.ts";
import type {
  Result,
  ResultInRun,
  ResultList,
  RunResults,
  SummaryItem,
  SummaryList,
} from "../schemas/result.ts";
import { OUTCOMES } from "../schemas/outcome.ts";
import type { Queryable } from "./client.ts";
import { decodeCursor, encodeCursor, toPage } from "./cursor.ts";
import { axisId, getRun } from "./runs.ts";
import { getTestId } from "./tests.ts";

interface ResultRow extends Result {
  caseId: number;
}

function outcomeIds(outcomes: readonly string[] | undefined): number[] {
  return (outcomes ?? []).map((name) => OUTCOMES.indexOf(name as typeof OUTCOMES[number]) + 1);
}

function columns(sql: Queryable) {
  return sql`
    results.run_id as "runId", cases.name as case, results.case_id as "caseId", results.ordinal, outcomes.name as outcome,
    results.word, results.duration_ms as "durationMs", results.message`;
}

/** Results of a run, in the order its cases became known. @throws HubError NOT_FOUND */
export async function listRunResults(sql: Queryable, input: RunResults): Promise<Page<Result>> {
  await getRun(sql, input.id);
  const after = input.cursor === undefined ? undefined : decodeCursor(input.cursor, ["number", "number"]);
  const rows = await sql<ResultRow[]>`
    select ${columns(sql)}
    from results join cases on cases.id = results.case_id join outcomes on outcomes.id = results.outcome
    where results.run_id = ${input.id}
      and ${
    after === undefined ? sql`true` : sql`(results.case_id, results.ordinal) > (${after[0]}, ${after[1]})`
  }
      and ${
    input.outcome === undefined
      ? sql`true`
      : sql`results.outcome = any(${outcomeIds(input.outcome)}::smallint[])`
  }
    order by results.case_id, results.ordinal
    limit ${input.limit + 1}`;
  return toPage(rows, input.limit, toResult, (row) => [row.caseId, row.ordinal]);
}

function toResult({ caseId: _caseId, ...row }: ResultRow): Result {
  return row;
}

interface ResultInRunRow extends ResultRow {
  changelist: number;
  package: string | null;
  environment: Record<string, string>;
}

/** Runs looked at for one page of results; a page may hold fewer than `limit` and still have a next one. */
const RUN_WINDOW = 500;

interface WindowRun {
  id: number;
  changelist: number;
  /** Results of it that a page may hold, by its counts. */
  size: number;
}

/**
 * Results of a test by changelist, newest first. The runs are chosen first, by their counts no more than a page needs, so
 * that only their partitions are probed, and a page costs the same however deep it lies and however large the runs are.
 */
export async function listResults(sql: Queryable, input: ResultList): Promise<Page<ResultInRun>> {
  const testId = await getTestId(sql, input.test);
  const axis = await axisId(sql, input.axis);
  const after = input.cursor === undefined
    ? undefined
    : decodeCursor(input.cursor, ["number", "number", "number", "number"]);
  const { from, to, changelist, environment, outcome, limit } = input;
  const runs = await sql<WindowRun[]>`
    select runs.id, runs.changelist, (
      select case when runs.expired_at is null then coalesce(sum(value::int), 0)::int else 0 end from jsonb_each_text(runs.counts)
      where ${outcome === undefined ? sql`true` : sql`key = any(${outcome}::text[])`}
    ) as size
    from runs join environments on environments.id = runs.environment_id
    where runs.test_id = ${testId} and runs.axis_id = ${axis}
      and ${after === undefined ? sql`true` : sql`(runs.changelist, runs.id) <= (${after[0]}, ${after[1]})`}
      and ${changelist === undefined ? sql`true` : sql`runs.changelist = ${changelist}`}
      and ${from === undefined ? sql`true` : sql`runs.changelist >= ${from}`}
      and ${to === undefined ? sql`true` : sql`runs.changelist <= ${to}`}
      and ${
    environment === undefined
      ? sql`true`
      : sql`environments.keys @> ${JSON.stringify(environment)}::text::jsonb`
  }
    order by runs.changelist desc, runs.id desc
    limit ${RUN_WINDOW + 1}`;
  const { window, next } = windowOf(runs, { limit, begun: after?.[1], counts: input.case === undefined });
  const isBegun = (run: WindowRun) => after !== undefined && run.id === after[1];
  const rows = await sql<ResultInRunRow[]>`
    select ${columns(sql)}, runs.changelist, packages.name as package, environments.keys as environment
    from unnest(${window.map((run) => run.id)}::bigint[],
        ${window.map((run) => isBegun(run) ? after![2] : 0)}::int[],
        ${window.map((run) => isBegun(run) ? after![3] : 0)}::int[]
      ) with ordinality as chosen (id, after_case, after_ordinal, place)
      join runs on runs.id = chosen.id
      join lateral (
        select * from results
        where results.run_id = chosen.id
          and (results.case_id, results.ordinal) > (chosen.after_case, chosen.after_ordinal)
          and ${
    input.case === undefined
      ? sql`true`
      : sql`results.case_id = (select coalesce(alias_of, id) from cases where test_id = ${testId} and hash = md5(${input.case})::uuid)`
  }
          and ${
    outcome === undefined ? sql`true` : sql`results.outcome = any(${outcomeIds(outcome)}::smallint[])`
  }
        order by results.case_id, results.ordinal
        limit ${limit + 1}
      ) as results on true
      join cases on cases.id = results.case_id
      join outcomes on outcomes.id = results.outcome
      join environments on environments.id = runs.environment_id
      left join packages on packages.id = runs.package_id
    order by chosen.place, results.case_id, results.ordinal
    limit ${limit + 1}`;
  const page = toPage(
    rows,
    limit,
    ({ caseId: _caseId, ...row }): ResultInRun => row,
    (row) => [row.changelist, row.runId, row.caseId, row.ordinal],
  );
  if (page.nextCursor !== null || next === undefined) return page;
  return { ...page, nextCursor: encodeCursor([next.changelist, next.id, 0, 0]) };
}

/** Of the runs in order, as many as a page of results needs, and the one after them. */
function windowOf(
  runs: WindowRun[],
  { limit, begun, counts }: { limit: number; begun: number | undefined; counts: boolean },
): { window: WindowRun[]; next: WindowRun | undefined } {
  const window: WindowRun[] = [];
  let size = 0;
  for (const run of runs) {
    if (window.length === RUN_WINDOW || counts && size > limit) return { window, next: run };
    window.push(run);
    // Of one that a page before began, none may be left.
    if (run.id !== begun) size += run.size;
  }
  return { window, next: undefined };
}

/** Per changelist, newest first: runs, and counts by outcome out of the runs that say something of the product. */
export async function listSummary(sql: Queryable, input: SummaryList): Promise<Page<SummaryItem>> {
  const testId = await getTestId(sql, input.test);
  const axis = await axisId(sql, input.axis);
  const [before] = input.cursor === undefined ? [undefined] : decodeCursor(input.cursor, ["number"]);
  const { from, to, environment, limit } = input;
  const chosen = sql`
    from runs join environments on environments.id = runs.environment_id
      left join packages on packages.id = runs.package_id
    where runs.test_id = ${testId} and runs.axis_id = ${axis}
      and ${
    environment === undefined
      ? sql`true`
      : sql`environments.keys @> ${JSON.stringify(environment)}::text::jsonb`
  }
      and ${input.package === undefined ? sql`true` : sql`packages.name = ${input.package}`}`;
  const rows = await sql<SummaryItem[]>`
    with newest as (
      select runs.changelist, count(*)::int as runs,
        count(*) filter (where runs.status = 'lab_error')::int as "labErrors"
      ${chosen}
        and ${before === undefined ? sql`true` : sql`runs.changelist < ${before}`}
        and ${from === undefined ? sql`true` : sql`runs.changelist >= ${from}`}
        and ${to === undefined ? sql`true` : sql`runs.changelist <= ${to}`}
      group by runs.changelist order by runs.changelist desc limit ${limit + 1}
    )
    select newest.changelist, newest.runs, newest."labErrors", coalesce((
      select jsonb_object_agg(key, total) from (
        select key, sum(value::int)::int as total
        from (
          select runs.counts ${chosen} and runs.changelist = newest.changelist and runs.status <> 'lab_error'
        ) as of_changelist, jsonb_each_text(of_changelist.counts)
        group by key
      ) as totals
    ), '{}') as counts
    from newest order by newest.changelist desc`;
  return toPage(rows, limit, (row) => row, (row) => [row.changelist]);
}
