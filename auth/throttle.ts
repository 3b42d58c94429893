import { RateLimiterMemory, RateLimiterPostgres, RateLimiterRes } from "rate-limiter-flexible";
import type { Db } from "../db/core/queryable.ts";
import { THROTTLE_TABLE, throttleStore } from "../db/access/throttles.ts";
import { HubError } from "../errors.ts";
import { digestOf } from "./digest.ts";

/** The state of a request allowance, for the RateLimit headers. */
export interface Allowance {
  name: "reads" | "writes";
  limit: number;
  remaining: number;
  /** Seconds until it is reset. */
  resetS: number;
}

export interface Throttle {
  /** Counts a request. @throws HubError TOO_MANY_REQUESTS */
  count(kind: Allowance["name"], who: string, cost?: number): Promise<Allowance>;
  /** Counts a sign-in attempt before its password is checked. @throws HubError TOO_MANY_REQUESTS */
  attempt(keys: { account: string; address: string }): Promise<Attempt>;
}

/** Outcome of an attempt. If neither method is called, the attempt counts as failed. */
export interface Attempt {
  /** The sign-in succeeded: clears the account's failures. */
  succeeded(): Promise<void>;
  /** The password was not checked, for example because the directory is unreachable: does not count. */
  discard(): Promise<void>;
}

/** An exceeded allowance, with its state for the headers. */
export class RateExceeded extends HubError {
  constructor(readonly allowance: Allowance) {
    const { name, limit, resetS } = allowance;
    super("TOO_MANY_REQUESTS", `More than ${limit} ${name} per minute; retry in ${resetS} s.`, {
      retryAfter: Math.max(1, resetS),
    });
  }
}

export interface ThrottleOptions {
  sql: Db;
  readsPerMinute: number;
  writesPerMinute: number;
}

/** Number of failed attempts without a wait, and the maximum wait in seconds. Waits grow, but never become a lockout. */
const ACCOUNT = { free: 5, longestS: 60 };
const ADDRESS = { free: 20, longestS: 60 };
/** How long failures count, in seconds. */
const MEMORY_S = 3600;
const MANY = 1_000_000_000;

/** Counts sign-ins and writes in Postgres, across all processes, and reads in memory, so that counting them is free. */
export function createThrottle({ sql, readsPerMinute, writesPerMinute }: ThrottleOptions): Throttle {
  const shared = {
    storeClient: throttleStore(sql),
    storeType: "client",
    tableName: THROTTLE_TABLE,
    tableCreated: true,
    clearExpiredByTimeout: false,
  };
  const failures = new RateLimiterPostgres({
    ...shared,
    keyPrefix: "failed",
    points: MANY,
    duration: MEMORY_S,
  });
  const waits = new RateLimiterPostgres({ ...shared, keyPrefix: "wait", points: 1, duration: 1 });
  const requests = {
    reads: new RateLimiterMemory({ keyPrefix: "r", points: readsPerMinute, duration: 60 }),
    writes: new RateLimiterPostgres({ ...shared, keyPrefix: "w", points: writesPerMinute, duration: 60 }),
  };
  return {
    async count(kind, who, cost = 1) {
      const limiter = requests[kind];
      const toAllowance = (result: RateLimiterRes): Allowance => ({
        name: kind,
        limit: limiter.points,
        remaining: result.remainingPoints,
        resetS: Math.max(0, Math.ceil(result.msBeforeNext / 1000)),
      });
      try {
        return toAllowance(await limiter.consume(who, cost));
      } catch (error) {
        if (!(error instanceof RateLimiterRes)) throw error;
        throw new RateExceeded(toAllowance(error));
      }
    },

    async attempt({ account, address }) {
      const kept = [
        // Stored as a digest, because a mistyped name may be a password.
        { key: `account ${digestOf(account.toLowerCase()).toHex()}`, ...ACCOUNT },
        { key: `address ${address}`, ...ADDRESS },
      ];
      const counted: string[] = [];
      for (const { key, free, longestS } of kept) {
        const { consumedPoints } = await failures.penalty(key);
        counted.push(key);
        if (consumedPoints <= free) continue;
        const waitS = Math.min(longestS, 2 ** Math.min(20, consumedPoints - free - 1));
        try {
          await waits.consume(key, 1, { customDuration: waitS });
        } catch (error) {
          // A rejected attempt does not count, or the wait would never end.
          for (const one of counted) await failures.reward(one);
          if (!(error instanceof RateLimiterRes)) throw error;
          const retryAfter = Math.max(1, Math.ceil(error.msBeforeNext / 1000));
          throw new HubError(
            "TOO_MANY_REQUESTS",
            `Too many sign-in attempts; retry in ${retryAfter} s.`,
            {
              retryAfter,
            },
          );
        }
      }
      return {
        async succeeded() {
          await failures.delete(kept[0]!.key);
          await waits.delete(kept[0]!.key);
          await failures.reward(kept[1]!.key);
        },
        async discard() {
          for (const { key } of kept) {
            await failures.reward(key);
            await waits.delete(key);
          }
        },
      };
    },
  };
}
