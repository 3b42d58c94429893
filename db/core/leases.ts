import { HubError } from "../../errors.ts";
import type { Queryable } from "./queryable.ts";

/** A right to write, until it expires or is taken over. */
export interface Lease {
  name: string;
  /** Grows with every taking, so that a slow holder is told from the present one. */
  fence: number;
}

/** Another has the lease by now: what is done under it must not be written. */
export class LeaseLost extends HubError {
  constructor(lease: Lease) {
    super(
      "CONFLICT",
      `The lease ${lease.name} (${lease.fence}) was taken over by another worker; nothing more is written.`,
    );
  }
}

/** Takes the lease `name` for `seconds`, unless another holds it: then undefined. */
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
 * Renews the lease inside the transaction of a batch, which locks its row until the commit.
 * @throws LeaseLost where it has been taken over
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
 * Takes the lease from whoever holds it, in the transaction that changes what the holder works on: call it first there,
 * as a batch locks the lease before all else.
 */
export async function revokeLease(tx: Queryable, name: string): Promise<void> {
  await tx`update leases set fence = fence + 1, expires_at = '-infinity' where name = ${name}`;
}

/** Gives the lease back; no effect where it has been taken over. */
export async function releaseLease(sql: Queryable, lease: Lease): Promise<void> {
  await sql`update leases set expires_at = '-infinity' where name = ${lease.name} and fence = ${lease.fence}`;
}
