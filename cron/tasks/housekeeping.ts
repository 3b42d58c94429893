import type { Config } from "../../config.ts";
import type { Db } from "../../db/client.ts";
import { pruneIdempotencyKeys } from "../../db/idempotency.ts";
import { pruneScans } from "../../db/scans.ts";
import { pruneScrapes } from "../../db/scrapes.ts";
import { pruneSessions } from "../../db/sessions.ts";
import { pruneThrottles } from "../../db/throttles.ts";
import { recordTick } from "../../db/ticks.ts";

const DAY_MS = 86_400_000;

/** Forgets old records. Two processes may do it at once. */
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
