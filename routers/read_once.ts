import type { JsonText } from "../db/core/json_text.ts";
import type { Context } from "./context.ts";

/** What a read gives for an answer that the asker has already; the doors make a 304 of it. */
export const UNCHANGED = Symbol("unchanged");

/**
 * Answers by `read`, unless the asker has what would be answered, or it is held: then the version is asked for, and nothing
 * is read. An answer's version is read with it, in one statement, so that it is never newer than its tag says. `list` names
 * what is asked, and is part of the question.
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
  const held = versions.pages.find(question);
  const mayKnow = knownTags.length > 0 && !isBatch;
  if (held !== undefined || mayKnow) {
    const version = await askVersion();
    const isHeld = version !== undefined && held?.version === version;
    const tag = isHeld ? held.tag : version === undefined ? undefined : versions.tagOf(version, question);
    if (tag !== undefined && mayKnow && knownTags.includes(tag)) {
      reply.etag = tag;
      return UNCHANGED as unknown as JsonText<T>;
    }
    if (isHeld) {
      if (!isBatch) reply.etag = held.tag;
      reply.held = held;
      return held.answer as JsonText<T>;
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
