import type { CompareQuery } from "../../schemas/answer.ts";
import { type Outcome, outcomeId, OUTCOMES } from "../../schemas/outcome.ts";
import { Conditions } from "../core/conditions.ts";
import type { Queryable } from "../core/queryable.ts";
import { axisId } from "../results/runs.ts";
import { getTestId } from "../tests/tests.ts";

/** All outcomes of a case at two changelists, and the number of cases with exactly these. */
export interface OutcomePair {
  base: Outcome[];
  head: Outcome[];
  cases: number;
}

export interface ComparedCaseRow {
  caseId: number;
  case: string;
  base: Outcome[];
  head: Outcome[];
  /** Whether an active waiver covers it at head. */
  waived: boolean;
}

export interface RunCounts {
  runs: { base: number; head: number };
  labErrorRuns: { base: number; head: number };
}

/**
 * Counts the runs at two changelists and the outcome pairs of their cases: some dozens of pairs for any number of cases.
 */
export async function listOutcomePairs(
  sql: Queryable,
  input: CompareQuery,
): Promise<RunCounts & { pairs: OutcomePair[] }> {
  const { base, head } = input;
  const ids = await idsOf(sql, input);
  const [counts] = await sql<[{ base: number; head: number; baseErrors: number; headErrors: number }]>`
    select count(*) filter (where changelist = ${base})::int as base, count(*) filter (where changelist = ${head})::int as head,
      count(*) filter (where changelist = ${base} and status = 'lab_error')::int as "baseErrors",
      count(*) filter (where changelist = ${head} and status = 'lab_error')::int as "headErrors"
    from runs join environments on environments.id = runs.environment_id
    where ${scopeOf(sql, input, ids)}`;
  const rows = await sql<{ base: number[]; head: number[]; cases: number }[]>`
    select found.base, found.head, count(*)::int as cases from (${found(sql, input, ids)}) as found
    group by found.base, found.head`;
  return {
    runs: { base: counts.base, head: counts.head },
    labErrorRuns: { base: counts.baseErrors, head: counts.headErrors },
    pairs: rows.map((row) => ({ ...row, base: toOutcomes(row.base), head: toOutcomes(row.head) })),
  };
}

/** Lists up to `limit` cases with one of these outcome pairs, by id, after the id `after`. */
export async function listComparedCases(
  sql: Queryable,
  input: CompareQuery,
  { pairs, after, limit }: { pairs: OutcomePair[]; after: number; limit: number },
): Promise<ComparedCaseRow[]> {
  if (pairs.length === 0) return [];
  const ids = await idsOf(sql, input);
  const rows = await sql<(Omit<ComparedCaseRow, "base" | "head"> & { base: number[]; head: number[] })[]>`
    select found.case_id as "caseId", cases.name as case, found.base, found.head, exists (
      select from waivers
      where waivers.test_id = cases.test_id and waivers.axis_id = ${ids.axis}
        and waivers.expires_at > now()
        and (waivers.case_id is null or waivers.case_id = found.case_id)
        and coalesce(waivers.changelist_from <= ${input.head}, true)
        and coalesce(waivers.changelist_to >= ${input.head}, true)
        and waivers.environment <@ ${JSON.stringify(input.environment ?? {})}::text::jsonb
    ) as waived
    from (${found(sql, input, ids)}) as found join cases on cases.id = found.case_id
    where found.case_id > ${after}
      and (array_to_string(found.base, ',') || ';' || array_to_string(found.head, ',')) = any(${
    pairs.map((pair) => `${toIds(pair.base)};${toIds(pair.head)}`)
  }::text[])
    order by found.case_id limit ${limit}`;
  return rows.map((row) => ({ ...row, base: toOutcomes(row.base), head: toOutcomes(row.head) }));
}

interface Ids {
  testId: number;
  axis: number;
}

async function idsOf(sql: Queryable, { test, axis }: CompareQuery): Promise<Ids> {
  return { testId: await getTestId(sql, test), axis: await axisId(sql, axis) };
}

function scopeOf(sql: Queryable, input: CompareQuery, { testId, axis }: Ids) {
  const { base, head, environment } = input;
  return sql`
    runs.test_id = ${testId} and runs.axis_id = ${axis} and runs.changelist = any(${[base, head]}::int[])
    and ${new Conditions(sql).contains("environments.keys", environment).all}`;
}

/** Selects each case of the runs in scope with its outcomes at base and at head, as sorted ids. */
function found(sql: Queryable, input: CompareQuery, ids: Ids) {
  const { base, head } = input;
  return sql`
    select results.case_id,
      coalesce(array_agg(distinct results.outcome order by results.outcome)
        filter (where runs.changelist = ${base}), '{}') as base,
      coalesce(array_agg(distinct results.outcome order by results.outcome)
        filter (where runs.changelist = ${head}), '{}') as head
    from runs join environments on environments.id = runs.environment_id join results on results.run_id = runs.id
    where ${scopeOf(sql, input, ids)}
    group by results.case_id`;
}

function toOutcomes(ids: number[]): Outcome[] {
  return ids.map((id) => OUTCOMES[id - 1]!);
}

function toIds(outcomes: Outcome[]): string {
  return outcomes.map(outcomeId).join(",");
}
