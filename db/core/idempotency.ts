import type { Queryable } from "./queryable.ts";

/** Deletes keys used before `before`. Returns how many. */
export async function pruneIdempotencyKeys(sql: Queryable, before: Date): Promise<number> {
  return (await sql`delete from idempotency_keys where created_at < ${before}`).count;
}
