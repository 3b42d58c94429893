import { RateLimiterMemory, RateLimiterPostgres, RateLimiterRes } from "rate-limiter-flexible";
import type { Db } from "../db/core/queryable.ts";
import { THROTTLE_TABLE, throttleStore } from "../db/access/throttles.ts";
import { HubError } from "../errors.ts";
import { digestOf } from "./digest.ts";

/** What is left of an allowance, for the RateLimit headers. */
export interface Allowance {
  name: "reads" | "writes";
  limit: number;
  remaining: number;
  /** Seconds until it is whole again. */
  resetS: number;
}

export interface Throttle {
  /** Counts a request. @throws HubError TOO_MANY_REQUESTS */
  count(kind: Allowance["name"], who: string, cost?: number): Promise<Allowance>;
  /** Counts an attempt to sign in, before the password is looked at. @throws HubError TOO_MANY_REQUESTS */
  attempt(keys: { account: string; address: string }): Promise<Attempt>;
}

/** What became of an attempt; one that nothing is said of was a failure. */
export interface Attempt {
  /** It was good: the account's failures are forgotten. */
  wasGood(): Promise<void>;
  /** Nobody looked at it, as where the directory is away: it does not count. */
  wasNone(): Promise<void>;
}

/** Says too what is left of the allowance: nothing. */
export class RateExceeded extends HubError {
  constructor(readonly allowance: Allowance) {
    const { name, limit, resetS } = allowance;
    super("TOO_MANY_REQUESTS", `More than ${limit} ${name} a minute; ask again in ${resetS} s.`, {
      retryAfter: Math.max(1, resetS),
    });
  }
}

export interface ThrottleOptions {
  sql: Db;
  readsPerMinute: number;
  writesPerMinute: number;
}

/** Failed attempts that cost no waiting, and the longest wait in seconds: it grows, and never becomes a lock. */
const ACCOUNT = { free: 5, longestS: 60 };
const ADDRESS = { free: 20, longestS: 60 };
/** Seconds in which failures are remembered. */
const MEMORY_S = 3600;
const MANY = 1_000_000_000;

/** Sign-ins and writes are counted in Postgres, for all processes; reads in this one, so that they cost nothing. */
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
        // A name typed by mistake may be a password: it is not kept as it is.
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
          // An attempt that is not looked at does not count, or waiting would never end.
          for (const one of counted) await failures.reward(one);
          if (!(error instanceof RateLimiterRes)) throw error;
          const retryAfter = Math.max(1, Math.ceil(error.msBeforeNext / 1000));
          throw new HubError(
            "TOO_MANY_REQUESTS",
            `Too many attempts to sign in; try again in ${retryAfter} s.`,
            {
              retryAfter,
            },
          );
        }
      }
      return {
        async wasGood() {
          await failures.delete(kept[0]!.key);
          await waits.delete(kept[0]!.key);
          await failures.reward(kept[1]!.key);
        },
        async wasNone() {
          for (const { key } of kept) {
            await failures.reward(key);
            await waits.delete(key);
          }
        },
      };
    },
  };
}
