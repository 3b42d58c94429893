import { createHash } from "node:crypto";
import type { Db } from "../db/core/queryable.ts";
import { findBuildsVersion, findResultsVersions } from "../db/core/cache_versions.ts";
import { inTime } from "./deadline.ts";
import { createPageCache, type PageCache } from "./page_cache.ts";

/** Raise it where answers come to look otherwise for the same rows, or clients keep the old ones. */
const FORM = 1;

/** Versions of what is answered: whether it still holds, for less than it costs to answer; undefined where that cannot be told. */
export interface Versions {
  builds(): Promise<string | undefined>;
  /** By a test's name. */
  results(test: string): Promise<string | undefined>;
  /** Entity tag of what a question is answered at a version. */
  tagOf(version: string, question: string): string;
  pages: PageCache;
}

/** Those asked for at once are asked of the database together. `held` is how much of pages is held, see `createPageCache`. */
export function createVersions(sql: Db, { home, held }: { home: string; held: number }): Versions {
  const builds = together(async () => new Map([["", await findBuildsVersion(sql)]]));
  const results = together((tests) => findResultsVersions(sql, tests));
  return {
    builds: () => builds(""),
    results,
    tagOf(version, question) {
      const text = JSON.stringify([FORM, home, version, question]);
      return `"${createHash("sha256").update(text).digest("base64url").slice(0, 16)}"`;
    },
    pages: createPageCache(held),
  };
}

/** Longest that a version is waited for; then what is asked for is read. */
const LIMIT_MS = 2_000;

/**
 * While one question is under way those that come meanwhile wait, and are asked together by the next. One that fails or takes
 * too long tells nothing of any of them: a bad one among them must not be others' fault.
 */
export function together<T>(
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
        const found = await inTime(ask([...asked.keys()]), LIMIT_MS, () => new Error("late"));
        for (const [key, { resolve }] of asked) resolve(found.get(key));
      } catch {
        for (const { resolve } of asked.values()) resolve(undefined);
      }
    }
    isAsking = false;
  };
  return (key) => {
    let one = waiting.get(key);
    if (one === undefined) waiting.set(key, one = Promise.withResolvers());
    if (!isAsking) askNext();
    return one.promise;
  };
}
