import type { Context } from "../context.ts";
import { entityTag, isKnownTag } from "../entity_tags.ts";
import { packed } from "../page_cache.ts";
import type { ReadResult } from "../read_result.ts";
import { CACHE_CONTROL, headersOf, VARY } from "./headers.ts";

/**
 * The response to a read, created with all its headers, because changing a response later doubles its cost. `tag`: its entity
 * tag (default: a hash of the text). 304 if the client already has it.
 */
export function answerRead(hub: Context, text: string, tag = entityTag(text)): Response {
  if (isKnownTag(hub.knownTags, tag)) return answerUnchanged(hub, tag);
  hub.reply.isWhole = true;
  return new Response(text, { status: 200, headers: tagged(jsonHeaders(hub), tag) });
}

/** The response to the read of a list: a cached page as gzip if `takesGzip`, else as text, or 304. */
export async function answerList(
  hub: Context,
  { kind, text, tag, page }: ReadResult<unknown>,
  takesGzip: () => boolean,
): Promise<Response> {
  if (kind === "unchanged") return answerUnchanged(hub, tag!);
  if (page === undefined || !takesGzip()) return answerRead(hub, text!.text, tag);
  if (isKnownTag(hub.knownTags, page.tag)) return answerUnchanged(hub, page.tag);
  const body = await packed(page);
  hub.reply.isWhole = true;
  const headers = tagged(jsonHeaders(hub), page.tag);
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
