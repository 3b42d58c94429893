import { HubError } from "../../errors.ts";
import type { Queryable } from "./queryable.ts";

/** A key under which a caller may repeat a request. */
export interface IdempotencyKey {
  /** Whose keys these are, as in `job:NAME`. */
  scope: string;
  key: string;
  /** Hash of the request, in hexadecimal. */
  request: string;
  /** What the request makes, for the error. */
  makes: "job" | "run";
}

/**
 * Claims a key for this transaction: returns undefined for a new one, which `completeIdempotencyKey` then ties to what was made,
 * and for a repeat the id of what the first request made. A concurrent request with the same key waits until the first has
 * committed.
 * @throws HubError CONFLICT where the key was used for another request
 */
export async function claimIdempotencyKey(
  tx: Queryable,
  { scope, key, request, makes }: IdempotencyKey,
): Promise<number | undefined> {
  const claimed = await tx`
    insert into idempotency_keys (scope, key, request_hash, target_id) values (${scope}, ${key}, ${request}, 0)
    on conflict do nothing
    returning key`;
  if (claimed.length > 0) return undefined;
  const [first] = await tx<{ targetId: number; isSame: boolean }[]>`
    select target_id as "targetId", request_hash = ${request} as "isSame"
    from idempotency_keys where scope = ${scope} and key = ${key}`;
  if (first?.isSame === true) return first.targetId;
  throw new HubError(
    "CONFLICT",
    `The Idempotency-Key ${JSON.stringify(key)} was used for another ${makes} (${first?.targetId}).`,
  );
}

/** Ties a claimed key to what was made. */
export async function completeIdempotencyKey(
  tx: Queryable,
  { scope, key }: IdempotencyKey,
  targetId: number,
): Promise<void> {
  await tx`update idempotency_keys set target_id = ${targetId} where scope = ${scope} and key = ${key}`;
}

/** Deletes keys that were made before a time. Returns how many. */
export async function pruneIdempotencyKeys(sql: Queryable, before: Date): Promise<number> {
  return (await sql`delete from idempotency_keys where created_at < ${before}`).count;
}
