import { BAD_OUTCOME_IDS } from "../../schemas/outcome.ts";
import type { RetentionPlan } from "../../schemas/retention.ts";
import type { Db, Queryable } from "../core/queryable.ts";
import { LOCKS } from "../core/locks.ts";

/** Default retention, and the time from which age is measured. */
export interface Keeping {
  /** Days, for tests without a setting of their own; 0: permanently. */
  keepDays: number;
  now: Date;
}

/** Number of runs in one results partition, as in migration 0001. */
const PARTITION = 20_000;
const BATCH = 200;

/** SQL condition for runs past their retention. Requires `runs`, `tests` and `environments` joined. */
function oldRuns(sql: Queryable, { keepDays, now }: Keeping) {
  return sql`
    runs.expired_at is null and runs.status <> 'running' and coalesce(tests.keep_days, ${keepDays}) > 0
    and runs.updated_at < ${now}::timestamptz - make_interval(days => coalesce(tests.keep_days, ${keepDays}))`;
}

/**
 * SQL condition for runs whose results are kept regardless of age: a pin, or an active waiver that covers a bad result of
 * the run.
 */
function isKept(sql: Queryable, { now }: Keeping) {
  return sql`(
    exists (select from run_pins where run_pins.run_id = runs.id)
    or exists (
      select from waivers
      where waivers.test_id = runs.test_id and waivers.axis_id = runs.axis_id and waivers.expires_at > ${now}
        and coalesce(waivers.changelist_from <= runs.changelist, true)
        and coalesce(waivers.changelist_to >= runs.changelist, true)
        and waivers.environment <@ environments.keys
        and exists (
          select from results
          where results.run_id = runs.id and (waivers.case_id is null or results.case_id = waivers.case_id)
            and results.outcome = any(${BAD_OUTCOME_IDS}::smallint[])
        )
    ))`;
}

const FROM =
  "runs join tests on tests.id = runs.test_id join environments on environments.id = runs.environment_id";

/** Returns what a sweep would delete now, by test. */
export async function planSweep(sql: Db, keeping: Keeping): Promise<RetentionPlan> {
  const items = await sql<RetentionPlan["items"]>`
    with old as materialized (
      select runs.id, runs.test_id, runs.updated_at, runs.samples, ${isKept(sql, keeping)} as held,
        (select coalesce(sum(value::int), 0) from jsonb_each_text(runs.counts)) as results
      from ${sql.unsafe(FROM)} where ${oldRuns(sql, keeping)}
    )
    select tests.name as test, coalesce(tests.keep_days, ${keeping.keepDays})::int as "keepDays",
      count(*) filter (where not held)::int as runs,
      coalesce(sum(old.results) filter (where not held), 0)::bigint as results,
      coalesce(sum(old.samples) filter (where not held), 0)::bigint as samples,
      json_time(min(old.updated_at) filter (where not held))::json as oldest,
      json_time(max(old.updated_at) filter (where not held))::json as newest,
      count(*) filter (where held)::int as held
    from old join tests on tests.id = old.test_id
    group by tests.id order by tests.name`;
  const sum = (of: (item: RetentionPlan["items"][number]) => number) =>
    items.reduce((total, item) => total + of(item), 0);
  return {
    keepDays: keeping.keepDays,
    runs: sum((item) => item.runs),
    results: sum((item) => item.results),
    partitions: (await listSlots(sql, keeping)).filter((slot) => slot.isWhole).length,
    items: [...items],
  };
}

export interface Slot {
  /** The partition's number; it contains the runs from `slot * 20,000` on. */
  slot: number;
  /** Whether none of its runs is kept, and no new run will be added. */
  isWhole: boolean;
}

/** Lists the results partitions that have expired results, oldest first. */
export async function listSlots(sql: Queryable, keeping: Keeping): Promise<Slot[]> {
  return [
    ...await sql<Slot[]>`
      with parts as (
        select substring(child.relname from '\\d+$')::bigint as slot
        from pg_inherits join pg_class as child on child.oid = inhrelid
        where inhparent = 'results'::regclass
      ), staying as (
        select runs.id / ${PARTITION} as slot,
          count(*) filter (where ${oldRuns(sql, keeping)} and not ${isKept(sql, keeping)}) as going,
          count(*) as runs
        from ${sql.unsafe(FROM)} where runs.expired_at is null group by 1
      )
      select parts.slot, coalesce(staying.runs = staying.going, true)
          and (parts.slot + 1) * ${PARTITION} <= (select last_value from runs_id_seq) as "isWhole"
      from parts left join staying on staying.slot = parts.slot
      where staying.going > 0
        or staying.slot is null and (parts.slot + 1) * ${PARTITION} <= (select last_value from runs_id_seq)
      order by parts.slot`,
  ];
}

/** Marks runs of a partition as expired, at most `limit`. Returns their ids. */
async function expire(
  tx: Queryable,
  keeping: Keeping,
  { slot, limit }: { slot: number; limit: number | null },
): Promise<number[]> {
  const rows = await tx<{ id: number }[]>`
    update runs set expired_at = ${keeping.now} where id in (
      select runs.id from ${tx.unsafe(FROM)}
      where runs.id >= ${slot * PARTITION} and runs.id < ${(slot + 1) * PARTITION}
        and ${oldRuns(tx, keeping)} and not ${isKept(tx, keeping)}
      order by runs.id limit ${limit} for update of runs
    ) returning id`;
  return rows.map((row) => row.id);
}

/**
 * Drops a partition of which no run is kept. Returns the number of expired runs, or undefined if a run has to be kept
 * after all.
 * @throws the driver's error 55P03 if readers do not release the table in time
 */
export async function dropSlot(sql: Db, keeping: Keeping, slot: number): Promise<number | undefined> {
  return await sql.begin(async (tx) => {
    await tx`select pg_advisory_xact_lock(${LOCKS.retention}, ${slot})`;
    await tx`set local lock_timeout = '2s'`;
    const expired = await expire(tx, keeping, { slot, limit: null });
    const [left] = await tx`
      select exists (select from runs where id >= ${slot * PARTITION} and id < ${(slot + 1) * PARTITION}
        and expired_at is null) as yes`;
    if (left!.yes) throw new Kept();
    for (const parent of ["results", "samples"]) {
      const part = `${parent}_${slot}`;
      const [there] = await tx`select to_regclass(${part}) is not null as yes`;
      if (!there!.yes) continue;
      await tx`alter table ${tx(parent)} detach partition ${tx(part)}`;
      await tx`drop table ${tx(part)}`;
    }
    return expired.length;
  }).catch((error) => {
    if (error instanceof Kept) return undefined;
    throw error;
  }) as number | undefined;
}

class Kept extends Error {}

/**
 * Deletes the results and samples of up to `BATCH` runs of a partition. Returns the number of runs; 0 if none is left.
 */
export async function sweepSlot(sql: Db, keeping: Keeping, slot: number): Promise<number> {
  return await sql.begin(async (tx) => {
    const ids = await expire(tx, keeping, { slot, limit: BATCH });
    if (ids.length === 0) return 0;
    const [first, last] = [Math.min(...ids), Math.max(...ids)];
    await tx`delete from results where run_id = any(${ids}::bigint[]) and run_id between ${first} and ${last}`;
    await tx`delete from samples where run_id = any(${ids}::bigint[]) and run_id between ${first} and ${last}`;
    return ids.length;
  }) as number;
}

/** Allows writing results to expired runs again, and recreates their partitions if they were dropped. */
export async function reviveRuns(tx: Queryable, ids: number[]): Promise<void> {
  const rows = await tx<{ id: number }[]>`
    update runs set expired_at = null where id = any(${ids}::bigint[]) and expired_at is not null returning id`;
  for (const slot of [...new Set(rows.map((row) => Math.floor(row.id / PARTITION)))].sort((a, b) => a - b)) {
    await tx`select pg_advisory_xact_lock_shared(${LOCKS.retention}, ${slot})`;
    await tx`select ensure_results_partition(${slot * PARTITION})`;
  }
}
