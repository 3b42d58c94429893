import { createHash } from "node:crypto";
import type { Context } from "../context.ts";
import { headersOf } from "./headers.ts";

/**
 * A read's answer with all its headers, made at once: a response that is touched again costs as much as all else about it.
 * Its tag is the one that the procedure tells, else a hash of the text. 304 where the asker has it already.
 */
export function answerRead(hub: Context, text: string): Response {
  const tag = hub.reply.etag ?? `"${createHash("sha1").update(text).digest("base64url").slice(0, 16)}"`;
  if (hub.knownTags.includes(tag) || hub.knownTags.includes("*")) return answerUnchanged(hub, tag);
  hub.reply.isWhole = true;
  const headers = headersOf(hub);
  headers["content-type"] = "application/json";
  return new Response(text, { status: 200, headers: tagged(headers, tag) });
}

/** That the asker has the answer already. */
export function answerUnchanged(hub: Context, tag: string): Response {
  hub.reply.isWhole = true;
  return new Response(null, { status: 304, headers: tagged(headersOf(hub), tag) });
}

function tagged(headers: Record<string, string>, tag: string): Record<string, string> {
  headers.etag = tag;
  headers["cache-control"] = "no-cache";
  headers.vary = "authorization, accept-encoding";
  return headers;
}
