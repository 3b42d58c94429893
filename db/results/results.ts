import type { Page } from "../../schemas/common.ts";
import type { Result, RunResults, SummaryItem, SummaryList } from "../../schemas/result.ts";
import { type Outcome, outcomeId } from "../../schemas/outcome.ts";
import { Conditions } from "../core/conditions.ts";
import type { Queryable } from "../core/queryable.ts";
import { decodeCursor, toPage } from "../core/cursor.ts";
import { axisId, getRun } from "./runs.ts";
import { getTestId } from "../tests/tests.ts";

interface ResultRow extends Result {
  caseId: number;
}

/** Returns the ids of outcomes by name. */
export function outcomeIds(outcomes: readonly string[] | undefined): number[] {
  return (outcomes ?? []).map((name) => outcomeId(name as Outcome));
}

function columns(sql: Queryable) {
  return sql`
    results.run_id as "runId", cases.name as case, results.case_id as "caseId", results.ordinal, outcomes.name as outcome,
    results.word, results.duration_ms as "durationMs", results.message`;
}

/** Lists a run's results, in the order in which its cases became known. @throws HubError NOT_FOUND */
export async function listRunResults(sql: Queryable, input: RunResults): Promise<Page<Result>> {
  await getRun(sql, input.id);
  const after = input.cursor === undefined ? undefined : decodeCursor(input.cursor, ["number", "number"]);
  const where = new Conditions(sql)
    .given(after, ([caseId, ordinal]) => sql`(results.case_id, results.ordinal) > (${caseId}, ${ordinal})`)
    .given(input.outcome, (outcomes) => sql`results.outcome = any(${outcomeIds(outcomes)}::smallint[])`);
  const rows = await sql<ResultRow[]>`
    select ${columns(sql)}
    from results join cases on cases.id = results.case_id join outcomes on outcomes.id = results.outcome
    where results.run_id = ${input.id} and ${where.all}
    order by results.case_id, results.ordinal
    limit ${input.limit + 1}`;
  return toPage(rows, input.limit, toResult, (row) => [row.caseId, row.ordinal]);
}

function toResult({ caseId: _caseId, ...row }: ResultRow): Result {
  return row;
}

/** Lists per changelist, newest first: the number of runs, and outcome counts of all runs except lab errors. */
export async function listSummary(sql: Queryable, input: SummaryList): Promise<Page<SummaryItem>> {
  const testId = await getTestId(sql, input.test);
  const axis = await axisId(sql, input.axis);
  const [before] = input.cursor === undefined ? [undefined] : decodeCursor(input.cursor, ["number"]);
  const { from, to, environment, limit } = input;
  const page = new Conditions(sql)
    .below("runs.changelist", before)
    .atLeast("runs.changelist", from)
    .atMost("runs.changelist", to);
  const chosen = sql`
    from runs join environments on environments.id = runs.environment_id
      left join packages on packages.id = runs.package_id
    where runs.test_id = ${testId} and runs.axis_id = ${axis}
      and ${
    new Conditions(sql).contains("environments.keys", environment).equal("packages.name", input.package).all
  }`;
  const rows = await sql<SummaryItem[]>`
    with newest as (
      select runs.changelist, count(*)::int as runs,
        count(*) filter (where runs.status = 'lab_error')::int as "labErrors"
      ${chosen}
        and ${page.all}
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
