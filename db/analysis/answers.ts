import type { CulpritQuery } from "../../schemas/answer.ts";
import type { Outcome } from "../../schemas/outcome.ts";
import { BAD_OUTCOME_IDS, OUTCOMES } from "../../schemas/outcome.ts";
import { Conditions } from "../core/conditions.ts";
import type { Queryable } from "../core/queryable.ts";
import { axisId } from "../results/runs.ts";
import { getTestId } from "../tests/tests.ts";

export interface CaseHistory {
  caseId: number;
  case: string;
  /** Without the machine: machines of one kind share a history. */
  environment: Record<string, string>;
  /** The environment as text, for the cursor. */
  environmentText: string;
  points: { changelist: number; outcomes: Outcome[] }[];
}

export interface Histories {
  packageId: number | null;
  package: string | null;
  items: CaseHistory[];
  /** Whether more cases follow the last one. */
  hasMore: boolean;
}

/**
 * Returns histories of the cases that are or were bad in one package's runs: `limit` of them, by case and environment,
 * after the pair `after`.
 */
export async function listBadHistories(
  sql: Queryable,
  input: CulpritQuery,
  after: readonly [number, string] | undefined,
): Promise<Histories> {
  const testId = await getTestId(sql, input.test);
  const axis = await axisId(sql, input.axis);
  const { from, to, environment, limit } = input;
  const chosen = await choosePackage(sql, { testId, axis, name: input.package });
  const period = new Conditions(sql)
    .atLeast("runs.changelist", from)
    .atMost("runs.changelist", to)
    .contains("environments.keys", environment);
  const scope = sql`
    runs.test_id = ${testId} and runs.axis_id = ${axis} and runs.package_id is not distinct from ${chosen.id}
    and runs.status <> 'lab_error'
    and ${period.all}`;
  const pairs = await sql<{ caseId: number; environment: string }[]>`
    with found as (
      select distinct results.case_id, (environments.keys - 'machine')::text as environment
      from runs join environments on environments.id = runs.environment_id
        join results on results.run_id = runs.id
        ${
    input.case === undefined
      ? sql``
      : sql`join cases on cases.test_id = runs.test_id and cases.hash = md5(${input.case})::uuid
          and coalesce(cases.alias_of, cases.id) = results.case_id`
  }
      where ${scope} and results.outcome = any(${BAD_OUTCOME_IDS}::smallint[])
    )
    select case_id as "caseId", environment from found
    where ${
    new Conditions(sql).given(
      after,
      ([caseId, kind]) => sql`(case_id, environment collate "C") > (${caseId}, ${kind} collate "C")`,
    ).all
  }
    order by case_id, environment collate "C" limit ${limit + 1}`;
  const wanted = pairs.slice(0, limit);
  const rows = wanted.length === 0
    ? []
    : await sql<(Omit<CaseHistory, "points"> & { points: [number, number[]][] })[]>`
    with points as (
      select results.case_id, wanted.environment, runs.changelist, array_agg(distinct results.outcome) as outcomes
      from unnest(${wanted.map((pair) => pair.caseId)}::int[], ${
      wanted.map((pair) => pair.environment)
    }::text[])
          as wanted (case_id, environment)
        join results on results.case_id = wanted.case_id
        join runs on runs.id = results.run_id
        join environments on environments.id = runs.environment_id
          and (environments.keys - 'machine')::text = wanted.environment
      where ${scope}
      group by results.case_id, wanted.environment, runs.changelist
    )
    select points.case_id as "caseId", cases.name as case, points.environment as "environmentText",
      points.environment::jsonb as environment,
      jsonb_agg(jsonb_build_array(points.changelist, points.outcomes) order by points.changelist) as points
    from points join cases on cases.id = points.case_id
    group by points.case_id, cases.name, points.environment
    order by points.case_id, points.environment collate "C"`;
  return {
    packageId: chosen.id,
    package: chosen.name,
    hasMore: pairs.length > limit,
    items: rows.map((row) => ({
      ...row,
      points: row.points.map(([changelist, outcomes]) => ({
        changelist,
        outcomes: outcomes.map((id) => OUTCOMES[id - 1]!),
      })),
    })),
  };
}

/** Returns the requested package, or the package of the test's newest run. */
async function choosePackage(
  sql: Queryable,
  { testId, axis, name }: { testId: number; axis: number; name: string | undefined },
): Promise<{ id: number | null; name: string | null }> {
  if (name !== undefined) {
    const [row] = await sql<{ id: number }[]>`select id from packages where name = ${name}`;
    return { id: row?.id ?? -1, name };
  }
  const [row] = await sql<{ id: number | null; name: string | null }[]>`
    select packages.id, packages.name
    from runs left join packages on packages.id = runs.package_id
    where runs.test_id = ${testId} and runs.axis_id = ${axis}
    order by runs.changelist desc, runs.id desc limit 1`;
  return row ?? { id: null, name: null };
}

export interface Bounds {
  lastGood: number | null;
  firstBad: number;
  /** Changelists in between whose runs gave no verdict. */
  undecided: number[] | null;
}

export interface Between {
  /**
   * Number of known changelists in between: those with a build of the package, gone or not, or with runs but no verdict.
   */
  known: number | null;
  /** The first 1000 changelists with an available build. */
  available: number[];
}

/** Returns what is strictly between each pair of bounds; `known` is null without a lower bound. */
export async function listBetween(
  sql: Queryable,
  packageId: number | null,
  bounds: Bounds[],
): Promise<Between[]> {
  // Cases that broke together have equal bounds, so each pair is queried once.
  const keys = bounds.map((one) => JSON.stringify(one));
  const asked = [...new Map(bounds.map((one, at) => [keys[at]!, one])).values()];
  const undecided = asked.flatMap((one, at) => (one.undecided ?? []).map((number) => ({ at, number })));
  const rows = asked.length === 0 ? [] : await sql<{ known: number; available: number[] }[]>`
    with bounds as (
      select low, high, place
      from unnest(${asked.map((one) => one.lastGood ?? one.firstBad)}::int[], ${
    asked.map((one) => one.firstBad)
  }::int[]) with ordinality as bounds (low, high, place)
    ), undecided as (
      select place, changelist
      from unnest(${undecided.map((one) => one.at + 1)}::int[], ${
    undecided.map((one) => one.number)
  }::int[]) as undecided (place, changelist)
    )
    select array(
      select distinct builds.changelist
      from roots join builds on builds.root_id = roots.id
      where roots.configured and builds.package_id = ${packageId} and builds.gone_at is null
        and builds.changelist > bounds.low and builds.changelist < bounds.high
      order by 1 limit 1000
    ) as available, (
      select count(*)::int from (
        select builds.changelist from roots join builds on builds.root_id = roots.id
        where builds.package_id = ${packageId}
          and builds.changelist > bounds.low and builds.changelist < bounds.high
        union
        select undecided.changelist from undecided where undecided.place = bounds.place
      ) as known
    ) as known
    from bounds
    order by place`;
  const found = new Map([...new Set(keys)].map((key, at) => [key, rows[at]!]));
  return bounds.map(({ lastGood }, at) => {
    const { known, available } = found.get(keys[at]!)!;
    return { known: lastGood === null ? null : known, available };
  });
}
