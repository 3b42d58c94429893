import type { MiddlewareHandler } from "hono";
import type { RestEnv } from "./route.ts";

const MAX_BYTES = 4 << 20;

/** A strong tag over what a read answers as JSON; 304 where the asker has it. */
export const withEtag: MiddlewareHandler<RestEnv> = async (c, next) => {
  await next();
  const isRead = c.req.method === "GET" || c.req.method === "HEAD";
  if (!isRead || c.res.status !== 200 || !c.res.headers.get("content-type")?.startsWith("application/json")) {
    return;
  }
  const bytes = await c.res.clone().arrayBuffer();
  if (bytes.byteLength > MAX_BYTES) return;
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-1", bytes));
  const tag = `"${btoa(String.fromCharCode(...digest.slice(0, 12)))}"`;
  const known = c.req.header("if-none-match")?.split(",").map((one) => one.trim().replace(/^W\//, "")) ?? [];
  const headers = new Headers(c.res.headers);
  headers.set("etag", tag);
  headers.set("cache-control", "no-cache");
  headers.append("vary", "authorization");
  if (known.includes(tag) || known.includes("*")) {
    headers.delete("content-type");
    headers.delete("content-length");
    c.res = new Response(null, { status: 304, headers });
  } else c.res = new Response(bytes, { status: 200, headers });
};
