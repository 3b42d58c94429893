import type { JsonText } from "../db/core/json_text.ts";
import type { Context } from "./context.ts";
import { ReadResult } from "./read_result.ts";

/**
 * Reads a list. If the client sent an entity tag or the page is cached, queries the version first, and skips `read` if that
 * version is current. The same statement reads a page and its version, so that a tag never names a newer version than its
 * page. `list`: a name that is part of the cache key.
 */
export async function readList<T>(
  { knownTags, isBatch, versions }: Context,
  { list, input, askVersion, read }: {
    list: string;
    input: unknown;
    askVersion: () => Promise<string | undefined>;
    read: () => Promise<JsonText<T>>;
  },
): Promise<ReadResult<T>> {
  const question = JSON.stringify([list, input]);
  const cached = versions.pages.find(question);
  const mayKnow = knownTags.length > 0 && !isBatch;
  const version = cached !== undefined || mayKnow ? await askVersion() : undefined;
  if (version !== undefined) {
    const isCurrent = cached?.version === version;
    const tag = isCurrent ? cached.tag : versions.tagOf(version, question);
    if (mayKnow && knownTags.includes(tag)) return ReadResult.unchanged(tag);
    if (isCurrent) return ReadResult.cached(cached);
  }
  const text = await read();
  if (text.version === null) return ReadResult.fresh(text, undefined);
  const tag = versions.tagOf(text.version, question);
  versions.pages.offer(question, { version: text.version, tag, answer: text });
  return ReadResult.fresh(text, tag);
}
