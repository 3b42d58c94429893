import { createHash } from "node:crypto";
import type { MiddlewareHandler } from "hono";
import type { RestEnv } from "./route.ts";

/** Parses the entity tags of an `If-None-Match`. */
export function knownTags(header: string | undefined): string[] {
  return header?.split(",").map((tag) => tag.trim().replace(/^W\//, "")) ?? [];
}

/** Adds a hash as entity tag to other JSON reads, such as documents; see `answerRead`. */
export const withEtag: MiddlewareHandler<RestEnv> = async (c, next) => {
  await next();
  const { reply, knownTags } = c.get("hub");
  if (reply.isWhole === true) return;
  const isRead = c.req.method === "GET" || c.req.method === "HEAD";
  const isAnswer = c.res.status === 200 && c.res.headers.get("content-type")?.startsWith("application/json");
  if (!isRead || !isAnswer) return;
  const { status, headers } = c.res;
  const bytes = new Uint8Array(await c.res.arrayBuffer());
  const tag = `"${createHash("sha1").update(bytes).digest("base64url").slice(0, 16)}"`;
  c.res = new Response(bytes, { status, headers });
  if (knownTags.includes(tag) || knownTags.includes("*")) {
    const { headers } = c.res;
    headers.delete("content-type");
    headers.delete("content-length");
    c.res = new Response(null, { status: 304, headers });
  }
  c.res.headers.set("etag", tag);
};
