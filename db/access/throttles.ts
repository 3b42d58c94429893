import type { Db } from "../core/queryable.ts";

/** The part of a `pg` client that rate-limiter-flexible uses, on the hub's pool. The library brings its own SQL. */
export function throttleStore(sql: Db) {
  return {
    async query({ text, values = [] }: { text: string; values?: unknown[] }) {
      const rows = await sql.unsafe(text, values as never[]);
      return { rows: [...rows], rowCount: rows.count };
    },
  };
}

export const THROTTLE_TABLE = "throttles";

/** Deletes expired rows. Returns how many. */
export async function pruneThrottles(sql: Db, now: Date): Promise<number> {
  return (await sql`delete from throttles where expire < ${now.getTime()}`).count;
}
