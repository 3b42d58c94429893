import type { Db } from "../db/core/queryable.ts";
import { type Lease, LeaseLost, renewLease } from "../db/core/leases.ts";

/** Renews a lease while its owner waits for a slow source. */
export interface KeptLease {
  /** Aborts with the reason once another worker has the lease. */
  signal: AbortSignal;
  stop(): Promise<void>;
}

/** Starts renewing the lease, four times in each `seconds`. */
export function keepLease(sql: Db, lease: Lease, seconds: number): KeptLease {
  const over = new AbortController();
  let beating: Promise<void> = Promise.resolve();
  let isBeating = false;
  const timer = setInterval(() => {
    if (isBeating) return;
    isBeating = true;
    beating = renewLease(sql, lease, seconds)
      // The next batch reports an unavailable database.
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
