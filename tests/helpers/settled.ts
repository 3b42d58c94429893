import { expect } from "vitest";
import type { Db } from "../../db/core/queryable.ts";

/**
 * Waits until versions of what was written can be told: once no older transaction runs. Other files' tests run theirs on the
 * same server, and snapshots are of the whole server.
 */
export async function settled(sql: Db): Promise<void> {
  await expect.poll(async () => {
    const [row] = await sql<[{ settled: boolean }]>`
      select max(written_in::text::bigint) < pg_snapshot_xmin(pg_current_snapshot())::text::bigint as settled from runs`;
    return row.settled;
  }, { interval: 5 }).toBe(true);
}
