import { deleteCookie, getCookie, setCookie } from "hono/cookie";
import type { CookieOptions } from "hono/utils/cookie";
import { checkOrigin, type Client } from "../../auth/client.ts";
import type { Allowance, Throttle } from "../../auth/throttle.ts";
import type { Context, SessionCookie } from "../context.ts";
import type { RestContext } from "./route.ts";

const NAME = "chub";
const READS = ["GET", "HEAD", "OPTIONS"];
const LOGIN = ["/api/auth/login", "/api/trpc/auth.login"];
/** Reads that ask more of the database than a page does, and what they count. */
const EXPENSIVE = /\/api\/results\/(?:culprit|compare|summary)$|results\.(?:culprit|compare|summary)/;
const EXPENSIVE_COST = 10;

/**
 * The cookie's name says what it is worth: `__Host-` ones come by https alone and from this host alone. On plain http, which
 * only this machine is let sign in by, a browser would not take such a one.
 */
export function readSessionId(c: RestContext, client: Client): string | undefined {
  const id = client.isSecure ? getCookie(c, NAME, "host") : getCookie(c, NAME);
  return id !== undefined && /^[\w-]{43}$/.test(id) ? id : undefined;
}

export function writeSessionId(c: RestContext, client: Client, { id, maxAgeMs }: SessionCookie): void {
  const plain = { path: "/", httpOnly: true, sameSite: "Lax" } as const;
  const options: CookieOptions = client.isSecure ? { ...plain, prefix: "host", secure: true } : plain;
  if (id === null) deleteCookie(c, NAME, options);
  else setCookie(c, NAME, id, { ...options, maxAge: Math.min(Math.floor(maxAgeMs / 1000), 34_560_000) });
}

/** Refuses what another site made a browser send. @throws HubError FORBIDDEN */
export function checkSource(request: Request, { identity, client }: Context): void {
  if (READS.includes(request.method)) return;
  const isCookie = identity?.via === "session";
  if (isCookie || LOGIN.includes(new URL(request.url).pathname)) checkOrigin(request, client, { isCookie });
}

/** Counts a request against who sends it; undefined where nobody counts. @throws HubError TOO_MANY_REQUESTS */
export async function countRequest(
  throttle: Throttle,
  request: Request,
  { identity, client }: Context,
): Promise<Allowance | undefined> {
  const { pathname, searchParams } = new URL(request.url);
  if (request.method === "OPTIONS" || pathname.startsWith("/api/health/")) return undefined;
  const who = identity === null ? `address ${client.address}` : `${identity.name} ${identity.via}`;
  const calls = pathname.startsWith("/api/trpc/") ? pathname.split(",").length : 1;
  const isExpensive = EXPENSIVE.test(pathname) || searchParams.get("format") === "csv";
  const kind = READS.includes(request.method) ? "reads" : "writes";
  return await throttle.count(kind, who, calls * (isExpensive ? EXPENSIVE_COST : 1));
}
