import { createHash } from "node:crypto";
import type { Context } from "../context.ts";
import { type CachedPage, packed } from "../page_cache.ts";
import { CACHE_CONTROL, headersOf, VARY } from "./headers.ts";

/**
 * A read's answer with all its headers, made at once: a response that is touched again costs as much as all else about it.
 * Its tag is the one that the procedure tells, else a hash of the text. 304 where the asker has it already.
 */
export function answerRead(hub: Context, text: string): Response {
  const tag = hub.reply.etag ?? `"${createHash("sha1").update(text).digest("base64url").slice(0, 16)}"`;
  if (hub.knownTags.includes(tag) || hub.knownTags.includes("*")) return answerUnchanged(hub, tag);
  hub.reply.isWhole = true;
  return new Response(text, { status: 200, headers: tagged(jsonHeaders(hub), tag) });
}

/** A held page as gzip, or 304. */
export async function answerPacked(hub: Context, page: CachedPage): Promise<Response> {
  const { tag } = page;
  if (hub.knownTags.includes(tag) || hub.knownTags.includes("*")) return answerUnchanged(hub, tag);
  const body = await packed(page);
  hub.reply.isWhole = true;
  const headers = tagged(jsonHeaders(hub), tag);
  headers["content-encoding"] = "gzip";
  return new Response(body, { status: 200, headers });
}

function jsonHeaders(hub: Context): Record<string, string> {
  const headers = headersOf(hub);
  headers["content-type"] = "application/json";
  return headers;
}

/** That the asker has the answer already. */
export function answerUnchanged(hub: Context, tag: string): Response {
  hub.reply.isWhole = true;
  return new Response(null, { status: 304, headers: tagged(headersOf(hub), tag) });
}

function tagged(headers: Record<string, string>, tag: string): Record<string, string> {
  headers.etag = tag;
  headers["cache-control"] = CACHE_CONTROL;
  headers.vary = `${VARY}, accept-encoding`;
  return headers;
}
