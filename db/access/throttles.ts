import type { Db } from "../core/queryable.ts";

/** What rate-limiter-flexible asks of a `pg` client, on the hub's own pool; its SQL is its own. */
export function throttleStore(sql: Db) {
  return {
    async query({ text, values = [] }: { text: string; values?: unknown[] }) {
      const rows = await sql.unsafe(text, values as never[]);
      return { rows: [...rows], rowCount: rows.count };
    },
  };
}

export const THROTTLE_TABLE = "throttles";

/** Forgets what has expired. */
export async function pruneThrottles(sql: Db, now: Date): Promise<number> {
  return (await sql`delete from throttles where expire < ${now.getTime()}`).count;
}
