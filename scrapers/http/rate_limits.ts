import { HubError } from "../../errors.ts";

const LONGEST_WAIT_MS = 60_000;
const MAX_HOSTS = 10_000;
/** Largest assumed difference between a host's clock and this one. */
const SKEW_MS = 60_000;

/** The rate limits that hosts announced, shared by all scrapes of a process. */
export interface RateLimits {
  /**
   * Milliseconds until the host accepts requests again.
   * @throws HubError TOO_MANY_REQUESTS when that is more than a minute
   */
  waitMs(host: string): number;
  /** Records the rate limits in a response's headers. */
  learn(host: string, response: { status: number; headers: Headers }): void;
}

export function createRateLimits(now: () => number = Date.now): RateLimits {
  const until = new Map<string, number>();
  return {
    waitMs(host) {
      const time = until.get(host);
      if (time === undefined) return 0;
      const wait = time - now();
      if (wait <= 0) {
        until.delete(host);
        return 0;
      }
      if (wait <= LONGEST_WAIT_MS) return wait;
      throw new HubError(
        "TOO_MANY_REQUESTS",
        `${host} accepts no requests before ${new Date(time).toISOString()}: its rate limit is reached.`,
        { retryAfter: Math.ceil(wait / 1000) },
      );
    },
    learn(host, { status, headers }) {
      // GitHub reports secondary rate limits as 403 with `Retry-After`.
      const after = status === 403 || status >= 429 ? retryAfterMs(headers, now()) : undefined;
      const wait = Math.max(limitMs(headers, now()) ?? 0, after ?? 0);
      if (wait <= 0) return;
      if (until.size >= MAX_HOSTS) until.clear();
      until.set(host, now() + wait);
    },
  };
}

/** The wait in milliseconds that `Retry-After` (seconds or a date) requests, at most a day. */
export function retryAfterMs(headers: Headers, now = Date.now()): number | undefined {
  const value = headers.get("retry-after")?.trim();
  if (value === undefined || value === "") return undefined;
  const ms = /^\d+(?:\.\d+)?$/.test(value) ? Number(value) * 1000 : Date.parse(value) - now;
  return Number.isNaN(ms) ? undefined : Math.min(86_400_000, Math.max(0, ms));
}

/**
 * Milliseconds until the exhausted rate limit resets, by `X-RateLimit-*` (GitHub: reset is a Unix time) or `RateLimit-*`
 * (GitLab: a Unix time; the IETF draft: seconds from now).
 */
function limitMs(headers: Headers, now: number): number | undefined {
  for (const prefix of ["x-ratelimit", "ratelimit"]) {
    const remaining = headers.get(`${prefix}-remaining`);
    const reset = Number(headers.get(`${prefix}-reset`) ?? NaN);
    if (remaining === null || Number(remaining) > 0 || !(reset > 0)) continue;
    const ms = reset > 1e9 ? reset * 1000 - now : reset * 1000;
    // A reset that has just passed means that the clocks differ.
    return Math.min(86_400_000, ms > -SKEW_MS ? Math.max(1000, ms) : 0);
  }
  return undefined;
}
