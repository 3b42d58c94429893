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
import { decodeCursor, toPage } from "./cursor.ts";
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

/**
 * Results of a test by changelist, newest first. A window of runs is fixed first, so that only the partitions that hold
 * those runs are probed, and a page costs the same however deep it lies.
 */
export async function listResults(sql: Queryable, input: ResultList): Promise<Page<ResultInRun>> {
  const testId = await getTestId(sql, input.test);
  const axis = await axisId(sql, input.axis);
  const after = input.cursor === undefined
    ? undefined
    : decodeCursor(input.cursor, ["number", "number", "number", "number"]);
  const { from, to, changelist, environment, outcome, limit } = input;
  const runs = await sql<{ id: number; changelist: number }[]>`
    select runs.id, runs.changelist
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
  const window = runs.slice(0, RUN_WINDOW);
  if (window.length === 0) return { items: [], nextCursor: null };
  const ids = window.map((run) => run.id);
  const rows = await sql<ResultInRunRow[]>`
    select ${columns(sql)}, runs.changelist, packages.name as package, environments.keys as environment
    from runs
      join results on results.run_id = runs.id
      join cases on cases.id = results.case_id
      join outcomes on outcomes.id = results.outcome
      join environments on environments.id = runs.environment_id
      left join packages on packages.id = runs.package_id
    where runs.id = any(${ids}::bigint[]) and results.run_id = any(${ids}::bigint[])
      and ${
    input.case === undefined
      ? sql`true`
      : sql`cases.test_id = ${testId} and cases.hash = md5(${input.case})::uuid`
  }
      and ${
    outcome === undefined ? sql`true` : sql`results.outcome = any(${outcomeIds(outcome)}::smallint[])`
  }
      and ${
    after === undefined
      ? sql`true`
      : sql`(-runs.changelist, -runs.id, results.case_id, results.ordinal) > (${-after[0]}, ${-after[1]}, ${
        after[2]
      }, ${after[3]})`
  }
    order by runs.changelist desc, runs.id desc, results.case_id, results.ordinal
    limit ${limit + 1}`;
  const page = toPage(
    rows,
    limit,
    ({ caseId: _caseId, ...row }): ResultInRun => row,
    (row) => [row.changelist, row.runId, row.caseId, row.ordinal],
  );
  if (page.nextCursor !== null || runs.length <= RUN_WINDOW) return page;
  const next = runs[RUN_WINDOW]!;
  return {
    ...page,
    ...toPage([null, null], 1, () => null, () => [next.changelist, next.id, 0, 0]),
    items: page.items,
  };
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
