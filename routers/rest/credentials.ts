import { deleteCookie, getCookie, setCookie } from "hono/cookie";
import type { CookieOptions } from "hono/utils/cookie";
import { checkOrigin, type Client } from "../../auth/client.ts";
import type { Allowance, Throttle } from "../../auth/throttle.ts";
import type { Context, SessionCookie } from "../context.ts";
import type { RestContext, RestOnly, Route } from "./route.ts";
import type { Target } from "./route.ts";

const NAME = "chub";
const READS = ["GET", "HEAD", "OPTIONS"];

/**
 * Over https the cookie's name begins with `__Host-`, so that browsers send it only over https and only to this host. Over
 * plain http, where only this machine may sign in, browsers reject such a cookie, so the name has no prefix.
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

/** Rejects requests that another site made a browser send. @throws HubError FORBIDDEN */
export function checkSource(request: Request, target: Target, { identity, client }: Context): void {
  if (READS.includes(request.method)) return;
  const isCookie = identity?.via === "session";
  // Writes open to anonymous callers: sign-in, which sets a cookie.
  const isOpen = routesOf(target).some((route) => route?.role === "anyone");
  if (isCookie || isOpen) checkOrigin(request, client, { isCookie });
}

function routesOf(target: Target): readonly (Route | RestOnly | undefined)[] {
  return target.kind === "rest" ? [target.route] : target.kind === "trpc" ? target.routes : [];
}

/** Counts a request against its sender. Returns undefined if it is not counted. @throws HubError TOO_MANY_REQUESTS */
export async function countRequest(
  throttle: Throttle,
  { method }: Request,
  target: Target,
  { identity, client }: Context,
): Promise<Allowance | undefined> {
  const cost = costOf(target);
  if (method === "OPTIONS" || cost === 0) return undefined;
  const who = identity === null ? `address ${client.address}` : `${identity.name} ${identity.via}`;
  return await throttle.count(READS.includes(method) ? "reads" : "writes", who, cost);
}

/** The cost of a request; for a batch the sum of its calls. */
function costOf(target: Target): number {
  if (target.kind === "rest") return target.route.cost ?? 1;
  return routesOf(target).reduce((sum, route) => sum + Math.max(1, route?.cost ?? 1), 0) || 1;
}
