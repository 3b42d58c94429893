import { HubError } from "../../errors.ts";
import type { Queryable } from "./queryable.ts";

/** The right to write, until it expires or another worker takes it over. */
export interface Lease {
  name: string;
  /** Grows with every acquisition, which distinguishes the present owner from a former one that is slow. */
  fence: number;
}

/** Another worker has taken over the lease, so work done under it must not be written. */
export class LeaseLost extends HubError {
  constructor(lease: Lease) {
    super(
      "CONFLICT",
      `The lease ${lease.name} (${lease.fence}) was taken over by another worker; this worker stops writing.`,
    );
  }
}

/** Acquires the lease `name` for `seconds`, or returns undefined while another worker has it. */
export async function acquireLease(
  sql: Queryable,
  name: string,
  holder: string,
  seconds: number,
): Promise<Lease | undefined> {
  const [row] = await sql<{ fence: number }[]>`
    insert into leases (name, holder, fence, expires_at)
    values (${name}, ${holder}, 1, now() + make_interval(secs => ${seconds}))
    on conflict (name) do update
      set holder = excluded.holder, fence = leases.fence + 1, expires_at = excluded.expires_at
      where leases.expires_at < now()
    returning fence`;
  return row && { name, fence: row.fence };
}

/**
 * Renews the lease inside the transaction of a batch, which locks the lease's row until the commit.
 * @throws LeaseLost if another worker has taken it over
 */
export async function renewLease(tx: Queryable, lease: Lease, seconds: number): Promise<void> {
  const rows = await tx`
    update leases set expires_at = now() + make_interval(secs => ${seconds})
    where name = ${lease.name} and fence = ${lease.fence}
    returning fence`;
  if (rows.length === 0) {
    throw new LeaseLost(lease);
  }
}

/**
 * Revokes the owner's lease, in the transaction that changes what the owner works on. Call it first in that
 * transaction, because batches also lock the lease before anything else.
 */
export async function revokeLease(tx: Queryable, name: string): Promise<void> {
  await tx`update leases set fence = fence + 1, expires_at = '-infinity' where name = ${name}`;
}

/** Releases the lease; no effect if another worker has taken it over. */
export async function releaseLease(sql: Queryable, lease: Lease): Promise<void> {
  await sql`update leases set expires_at = '-infinity' where name = ${lease.name} and fence = ${lease.fence}`;
}
