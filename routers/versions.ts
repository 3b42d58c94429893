import { createHash } from "node:crypto";
import type { Db } from "../db/client.ts";
import { findBuildsVersion, findResultsVersions } from "../db/versions.ts";
import type { Context } from "./context.ts";

/** Raise it where answers come to look otherwise for the same rows, or clients keep the old ones. */
const FORM = 1;

/** Tells whether what was answered still holds, for less than it costs to answer. */
export interface Versions {
  builds(): Promise<string | undefined>;
  /** By a test's name. */
  results(test: string): Promise<string | undefined>;
}

/** Versions as the entity tags of answers; those asked for at once are asked of the database together. */
export function createVersions(sql: Db, home: string): Versions {
  const tag = (version: string) =>
    `"${createHash("sha256").update(`${FORM} ${home} ${version}`).digest("base64url").slice(0, 16)}"`;
  const builds = together(async () => new Map([["", tag(await findBuildsVersion(sql))]]));
  const results = together(async (tests) => {
    const found = await findResultsVersions(sql, tests);
    return new Map([...found].map(([name, version]) => [name, tag(version)]));
  });
  return { builds: () => builds(""), results };
}

/** What a read gives for an answer that the asker has already; the doors make a 304 of it. */
export const UNCHANGED = Symbol("unchanged");

/**
 * Answers by `read`, unless the asker has what would be answered: then nothing is read. `version` is asked first, so that an
 * answer is never newer than its tag says.
 */
export async function unlessKnown<T>(
  { knownTags, reply }: Context,
  version: Promise<string | undefined>,
  read: () => Promise<T>,
): Promise<T> {
  const tag = await version;
  if (tag !== undefined) {
    reply.etag = tag;
    if (knownTags.includes(tag)) return UNCHANGED as T;
  }
  return await read();
}

/** While one question is under way those that come meanwhile wait, and are asked together by the next. */
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
        const found = await ask([...asked.keys()]);
        for (const [key, { resolve }] of asked) resolve(found.get(key));
      } catch (error) {
        for (const { reject } of asked.values()) reject(error);
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
