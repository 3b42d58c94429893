import { createHash } from "node:crypto";
import type { Context } from "../context.ts";
import { type CachedPage, packed } from "../page_cache.ts";
import { CACHE_CONTROL, headersOf, VARY } from "./headers.ts";

/**
 * The response to a read, created with all its headers, because changing a response later doubles its cost. Its entity tag is
 * the procedure's, else a hash of the text. 304 if the client already has it.
 */
export function answerRead(hub: Context, text: string): Response {
  const tag = hub.reply.etag ?? `"${createHash("sha1").update(text).digest("base64url").slice(0, 16)}"`;
  if (hub.knownTags.includes(tag) || hub.knownTags.includes("*")) return answerUnchanged(hub, tag);
  hub.reply.isWhole = true;
  return new Response(text, { status: 200, headers: tagged(jsonHeaders(hub), tag) });
}

/** A cached page as gzip, or 304. */
export async function answerGzip(hub: Context, page: CachedPage): Promise<Response> {
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

/** A 304. */
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
