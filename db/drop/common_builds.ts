import { MAX_CHANGELIST } from "../../schemas/common.ts";
import type { CommonPage, CommonQuery } from "../../schemas/build.ts";
import type { Queryable } from "../core/queryable.ts";
import { decodeCursor, encodeCursor } from "../core/cursor.ts";
import { getPackageIds } from "./packages.ts";

/** Approximate number of builds that a request reads; beyond it the page ends early, and its cursor continues there. */
const MAX_PROBES = 40_000;

/**
 * Lists the changelists, ascending, at which every package has an available build. Each step asks every package for its
 * first build at or after the highest candidate so far, so a dense package costs no more than the sparsest one.
 * @throws HubError NOT_FOUND that names unknown packages
 */
export async function listCommon(
  sql: Queryable,
  input: CommonQuery,
  { maxProbes = MAX_PROBES }: { maxProbes?: number } = {},
): Promise<CommonPage> {
  const [after = 0] = input.cursor === undefined ? [] : decodeCursor(input.cursor, ["number"]);
  const ids = await getPackageIds(sql, [...new Set(input.packages)]);
  const maxSteps = Math.ceil(maxProbes / ids.length);
  const from = Math.min(Math.max(input.from ?? 1, after + 1), MAX_CHANGELIST);
  const to = after >= MAX_CHANGELIST ? 0 : input.to ?? MAX_CHANGELIST;
  const next = (at: ReturnType<Queryable>) =>
    sql`
      select min(each.changelist) as low, max(each.changelist) as high
      from unnest(${ids}::integer[]) as wanted (id)
      left join lateral (
        select min(first.changelist) as changelist from roots cross join lateral (
          select changelist from builds
          where root_id = roots.id and package_id = wanted.id and gone_at is null and changelist >= ${at}
          order by changelist limit 1
        ) as first where roots.configured
      ) as each on true
      having count(each.changelist) = ${ids.length}`;
  const rows = await sql<{ low: number; high: number; step: number }[]>`
    with recursive walk as (
      select low, high, 1 as step from (${next(sql`${from}::integer`)}) as start
      union all
      select following.low, following.high, walk.step + 1
      from walk cross join lateral (${
    next(sql`case when walk.low = walk.high then walk.high + 1::bigint else walk.high end`)
  }) as following
      where walk.high <= ${to} and walk.step < ${maxSteps}
    )
    select low, high, step from walk
    where high <= ${to} and (low = high or step = ${maxSteps})
    limit ${input.limit + 1}`;
  const hits = rows.filter((row) => row.low === row.high).map((row) => row.high);
  const last = rows.at(-1);
  if (hits.length > input.limit) {
    return pageTo(hits.slice(0, input.limit), hits[input.limit - 1]!);
  }
  if (last?.step === maxSteps) {
    return pageTo(hits, last.low === last.high ? last.high : last.high - 1);
  }
  return { items: hits.map((changelist) => ({ changelist })), nextCursor: null };
}

function pageTo(hits: number[], after: number): CommonPage {
  return { items: hits.map((changelist) => ({ changelist })), nextCursor: encodeCursor([after]) };
}
