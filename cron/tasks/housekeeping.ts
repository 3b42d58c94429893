import type { Config } from "../../config/config.ts";
import type { Db } from "../../db/core/queryable.ts";
import { pruneIdempotencyKeys } from "../../db/core/idempotency.ts";
import { pruneScans } from "../../db/drop/scans.ts";
import { pruneScrapes } from "../../db/tests/scrapes.ts";
import { pruneSessions } from "../../db/access/sessions.ts";
import { pruneThrottles } from "../../db/access/throttles.ts";
import { recordTick } from "../../db/work/schedule_runs.ts";

const DAY_MS = 86_400_000;

/** Deletes old records. Two processes may run it concurrently. Returns the number deleted of each kind. */
export async function keepHouse(
  { sql, config }: { sql: Db; config: Pick<Config, "keepRecordsDays"> },
  now: Date,
): Promise<Record<"scrapes" | "scans" | "idempotencyKeys" | "sessions" | "throttles", number>> {
  const before = new Date(now.getTime() - config.keepRecordsDays * DAY_MS);
  const pruned = {
    scrapes: await pruneScrapes(sql, before),
    scans: await pruneScans(sql, before),
    idempotencyKeys: await pruneIdempotencyKeys(sql, before),
    sessions: await pruneSessions(sql, now),
    throttles: await pruneThrottles(sql, now),
  };
  await recordTick(sql, "housekeeping");
  return pruned;
}
