import { createHash } from "node:crypto";
import type { Db } from "../db/client.ts";
import type { JsonText } from "../db/json_text.ts";
import { findBuildsVersion, findResultsVersions } from "../db/versions.ts";
import type { Context } from "./context.ts";

/** Raise it where answers come to look otherwise for the same rows, or clients keep the old ones. */
const FORM = 1;

/** Tells whether what was answered still holds, for less than it costs to answer: versions, as the entity tags of answers. */
export interface Versions {
  builds(): Promise<string | undefined>;
  /** By a test's name. */
  results(test: string): Promise<string | undefined>;
  tagOf(version: string): string;
}

/** Those asked for at once are asked of the database together. */
export function createVersions(sql: Db, home: string): Versions {
  const tagOf = (version: string) =>
    `"${createHash("sha256").update(`${FORM} ${home} ${version}`).digest("base64url").slice(0, 16)}"`;
  const builds = together(async () => new Map([["", tagOf(await findBuildsVersion(sql))]]));
  const results = together(async (tests) => {
    const found = await findResultsVersions(sql, tests);
    return new Map([...found].map(([name, version]) => [name, tagOf(version)]));
  });
  return { builds: () => builds(""), results, tagOf };
}

/** What a read gives for an answer that the asker has already; the doors make a 304 of it. */
export const UNCHANGED = Symbol("unchanged");

/**
 * Answers by `read`, unless the asker has what would be answered: then nothing is read. An answer's version is read with it,
 * in one statement, so that it is never newer than its tag says.
 */
export async function unlessKnown<T>(
  { knownTags, reply, versions }: Context,
  askVersion: () => Promise<string | undefined>,
  read: () => Promise<JsonText<T>>,
): Promise<JsonText<T>> {
  if (knownTags.length > 0) {
    const tag = await askVersion();
    if (tag !== undefined && knownTags.includes(tag)) {
      reply.etag = tag;
      return UNCHANGED as unknown as JsonText<T>;
    }
  }
  const answer = await read();
  if (answer.version !== null) reply.etag = versions.tagOf(answer.version);
  return answer;
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
