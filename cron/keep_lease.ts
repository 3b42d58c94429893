import type { Db } from "../db/core/queryable.ts";
import { type Lease, LeaseLost, renewLease } from "../db/core/leases.ts";

/** Renews a lease while a source takes its time. */
export interface KeptLease {
  /** Aborts, with the reason, once another has the lease. */
  signal: AbortSignal;
  stop(): Promise<void>;
}

/** Begins to renew the lease, four times in the `seconds` it lasts. */
export function keepLease(sql: Db, lease: Lease, seconds: number): KeptLease {
  const over = new AbortController();
  let beating: Promise<void> = Promise.resolve();
  let isBeating = false;
  const timer = setInterval(() => {
    if (isBeating) return;
    isBeating = true;
    beating = renewLease(sql, lease, seconds)
      // A database that is away shows in the next batch.
      .catch((error) => error instanceof LeaseLost ? over.abort(error) : undefined)
      .finally(() => isBeating = false);
  }, seconds * 1000 / 4);
  return {
    signal: over.signal,
    async stop() {
      clearInterval(timer);
      await beating;
    },
  };
}
