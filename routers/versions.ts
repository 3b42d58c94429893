import type { Db } from "../db/core/queryable.ts";
import { findBuildsVersion, findResultsVersions } from "../db/core/cache_versions.ts";
import { withTimeout } from "./deadline.ts";
import { entityTag } from "./entity_tags.ts";
import { createPageCache, type PageCache } from "./page_cache.ts";

/** Increase it when responses change for the same rows; otherwise clients keep the old responses. */
const FORM = 1;

/** Versions of the data behind responses, cheaper to query than the responses. Undefined if a version cannot be determined. */
export interface Versions {
  builds(): Promise<string | undefined>;
  /** Version of a test's results, by the test's name. */
  results(test: string): Promise<string | undefined>;
  /** Entity tag of the response to a question at a version. */
  tagOf(version: string, question: string): string;
  pages: PageCache;
}

/** Concurrent queries are sent to the database together. `pageCacheSize`: in characters, see `createPageCache`. */
export function createVersions(
  sql: Db,
  { home, pageCacheSize }: { home: string; pageCacheSize: number },
): Versions {
  const builds = batched(async () => new Map([["", await findBuildsVersion(sql)]]));
  const results = batched((tests) => findResultsVersions(sql, tests));
  return {
    builds: () => builds(""),
    results,
    tagOf(version, question) {
      return entityTag(JSON.stringify([FORM, home, version, question]));
    },
    pages: createPageCache(pageCacheSize),
  };
}

/** Maximum wait for a version; after that the data itself is read. */
const LIMIT_MS = 2_000;

/**
 * Batches concurrent queries: keys that arrive during a query wait, and the next query fetches all of them. If a query fails
 * or takes too long, all its keys get undefined, so that one bad key does not fail the requests for others.
 */
export function batched<T>(
  ask: (keys: string[]) => Promise<Map<string, T>>,
): (key: string) => Promise<T | undefined> {
  let waiting = new Map<string, PromiseWithResolvers<T | undefined>>();
  let isAsking = false;
  const askNext = async () => {
    isAsking = true;
    while (waiting.size > 0) {
      const asked = waiting;
      waiting = new Map();
      try {
        const found = await withTimeout(ask([...asked.keys()]), LIMIT_MS, () => new Error("late"));
        for (const [key, { resolve }] of asked) resolve(found.get(key));
      } catch {
        for (const { resolve } of asked.values()) resolve(undefined);
      }
    }
    isAsking = false;
  };
  return (key) => {
    let entry = waiting.get(key);
    if (entry === undefined) waiting.set(key, entry = Promise.withResolvers());
    if (!isAsking) askNext();
    return entry.promise;
  };
}
