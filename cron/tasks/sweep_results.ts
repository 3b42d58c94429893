import type { Db } from "../../db/core/queryable.ts";
import { acquireLease, LeaseLost, releaseLease } from "../../db/core/leases.ts";
import { dropSlot, type Keeping, listSlots, sweepSlot } from "../../db/results/retention.ts";
import { reasonOf } from "../../errors.ts";
import { keepLease } from "../keep_lease.ts";

export interface SweepDeps {
  sql: Db;
  config: { keepResultsDays: number };
  now(): Date;
  log(message: string, fields?: Record<string, unknown>): void;
}

export interface Swept {
  /** Number of runs whose results were deleted. */
  runs: number;
  /** Number of partitions dropped as a whole. */
  partitions: number;
}

const LEASE_S = 60;

/**
 * Deletes results past their test's retention: whole partitions if none of their runs is kept, otherwise run by run, a
 * few hundred per transaction. The next sweep continues an interrupted one.
 */
export async function sweepResults(deps: SweepDeps, signal: AbortSignal): Promise<Swept> {
  const { sql, config, log } = deps;
  const swept: Swept = { runs: 0, partitions: 0 };
  const lease = await acquireLease(sql, "retention", `${Deno.pid}`, LEASE_S);
  if (lease === undefined) return swept;
  const kept = keepLease(sql, lease, LEASE_S);
  const either = AbortSignal.any([signal, kept.signal]);
  try {
    const keeping: Keeping = { keepDays: config.keepResultsDays, now: deps.now() };
    for (const { slot, isWhole } of await listSlots(sql, keeping)) {
      either.throwIfAborted();
      const dropped = isWhole ? await drop(deps, keeping, slot) : undefined;
      if (dropped !== undefined) {
        swept.partitions++;
        swept.runs += dropped;
        continue;
      }
      for (let count = 1; count > 0; swept.runs += count) {
        either.throwIfAborted();
        count = await sweepSlot(sql, keeping, slot);
      }
    }
  } catch (error) {
    if (!either.aborted && !(error instanceof LeaseLost)) throw error;
  } finally {
    await kept.stop();
    await releaseLease(sql, lease);
  }
  if (swept.runs > 0 || swept.partitions > 0) log("deleted old results", { ...swept });
  return swept;
}

/** Drops a partition. Returns the number of its expired runs, or undefined if it cannot be dropped as a whole now. */
async function drop({ sql, log }: SweepDeps, keeping: Keeping, slot: number): Promise<number | undefined> {
  try {
    return await dropSlot(sql, keeping, slot);
  } catch (error) {
    if ((error as { code?: string }).code !== "55P03") throw error;
    log("a partition is in use; deleting its rows run by run", { slot, reason: reasonOf(error) });
    return undefined;
  }
}
