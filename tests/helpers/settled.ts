import { expect } from "vitest";
import type { Db } from "../../db/core/queryable.ts";

/**
 * Waits until versions of written data can be determined, which requires that no older transaction runs on the server. Tests
 * of other files run transactions on the same server.
 */
export async function settled(sql: Db): Promise<void> {
  await expect.poll(async () => {
    const [row] = await sql<[{ settled: boolean }]>`
      select max(written_in::text::bigint) < pg_snapshot_xmin(pg_current_snapshot())::text::bigint as settled from runs`;
    return row.settled;
  }, { interval: 5 }).toBe(true);
}
