import type { JsonText } from "../db/core/json_text.ts";
import type { Context } from "./context.ts";

/** Returned by a read if the client already has the response; REST and tRPC answer 304. */
export const UNCHANGED = Symbol("unchanged");

/**
 * Answers with `read`. If the client sent an entity tag or the page is cached, queries the version first, and skips `read` if
 * that version is current. The same statement reads a response and its version, so that a tag never names a newer version
 * than its response. `list`: a name that is part of the cache key.
 */
export async function readOnce<T>(
  { knownTags, isBatch, reply, versions }: Context,
  { list, input, askVersion, read }: {
    list: string;
    input: unknown;
    askVersion: () => Promise<string | undefined>;
    read: () => Promise<JsonText<T>>;
  },
): Promise<JsonText<T>> {
  const question = JSON.stringify([list, input]);
  const cached = versions.pages.find(question);
  const mayKnow = knownTags.length > 0 && !isBatch;
  if (cached !== undefined || mayKnow) {
    const version = await askVersion();
    const isCurrent = version !== undefined && cached?.version === version;
    const tag = isCurrent
      ? cached.tag
      : version === undefined
      ? undefined
      : versions.tagOf(version, question);
    if (tag !== undefined && mayKnow && knownTags.includes(tag)) {
      reply.etag = tag;
      return UNCHANGED as unknown as JsonText<T>;
    }
    if (isCurrent) {
      if (!isBatch) reply.etag = cached.tag;
      reply.cachedPage = cached;
      return cached.answer as JsonText<T>;
    }
  }
  const answer = await read();
  if (answer.version !== null) {
    const tag = versions.tagOf(answer.version, question);
    versions.pages.offer(question, { version: answer.version, tag, answer });
    if (!isBatch) reply.etag = tag;
  }
  return answer;
}
