import type { MiddlewareHandler } from "hono";
import { cors } from "hono/cors";
import type { Client } from "../../auth/client.ts";
import type { Allowance } from "../../auth/throttle.ts";

const ALWAYS: Record<string, string> = {
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  "referrer-policy": "same-origin",
  "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
  "cross-origin-opener-policy": "same-origin",
};
/** For responses other than HTML pages, which set their own policy. */
const NO_PAGE = "default-src 'none'; frame-ancestors 'none'";
/** For responses that depend on the caller, as most do: shared caches must not store them. */
export const CACHE_CONTROL = "private, no-cache";
export const VARY = "authorization, cookie";
/** A year, in seconds. */
const HSTS = "max-age=31536000; includeSubDomains";

/** The headers of every response. */
export function headersOf(
  { client, requestId, allowance }: { client: Client; requestId: string; allowance: Allowance | undefined },
): Record<string, string> {
  const headers: Record<string, string> = {
    ...ALWAYS,
    "x-request-id": requestId,
    "content-security-policy": NO_PAGE,
  };
  if (client.isSecure) headers["strict-transport-security"] = HSTS;
  if (allowance !== undefined) {
    // The IETF's RateLimit fields: a policy and what is left of it.
    const { name, limit, remaining, resetS } = allowance;
    headers["ratelimit-policy"] = `"${name}";q=${limit};w=60`;
    headers.ratelimit = `"${name}";r=${remaining};t=${resetS}`;
  }
  return headers;
}

/** Adds `headersOf` to a response without them; an HTML page keeps its own content security policy. */
export function setHeaders(headers: Headers, of: Parameters<typeof headersOf>[0]): void {
  const isPage = headers.has("content-security-policy");
  for (const [name, value] of Object.entries(headersOf(of))) {
    if (!isPage || name !== "content-security-policy") headers.set(name, value);
  }
  headers.append("vary", VARY);
  if (!headers.has("cache-control")) headers.set("cache-control", CACHE_CONTROL);
  // Proxies that buffer whole responses would delay these.
  if (/^text\/(?:csv|event-stream)/.test(headers.get("content-type") ?? "")) {
    headers.set("x-accel-buffering", "no");
  }
}

/** Allows requests from pages of these origins, without cookies. */
export function crossOrigin(origins: string[]): MiddlewareHandler {
  return cors({
    origin: origins,
    allowMethods: ["GET", "HEAD", "POST", "PATCH", "DELETE"],
    allowHeaders: [
      "authorization",
      "content-type",
      "idempotency-key",
      "if-none-match",
      "x-file-name",
      "x-request-id",
    ],
    exposeHeaders: ["etag", "ratelimit", "ratelimit-policy", "retry-after", "x-request-id"],
    maxAge: 600,
  });
}
