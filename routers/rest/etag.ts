import type { MiddlewareHandler } from "hono";
import { entityTag, isKnownTag } from "../entity_tags.ts";
import type { RestEnv } from "./route.ts";

/** Adds a hash as entity tag to JSON reads that have none, such as documents; see `answerRead`. */
export const withEtag: MiddlewareHandler<RestEnv> = async (c, next) => {
  await next();
  const { reply, knownTags } = c.get("hub");
  if (reply.isWhole === true) return;
  const isRead = c.req.method === "GET" || c.req.method === "HEAD";
  const isAnswer = c.res.status === 200 && c.res.headers.get("content-type")?.startsWith("application/json");
  if (!isRead || !isAnswer) return;
  const { status, headers } = c.res;
  const bytes = new Uint8Array(await c.res.arrayBuffer());
  const tag = entityTag(bytes);
  c.res = new Response(bytes, { status, headers });
  if (isKnownTag(knownTags, tag)) {
    const { headers } = c.res;
    headers.delete("content-type");
    headers.delete("content-length");
    c.res = new Response(null, { status: 304, headers });
  }
  c.res.headers.set("etag", tag);
};
