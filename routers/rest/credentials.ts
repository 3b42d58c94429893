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
export function checkSource(request: Request, target: Target, { identity, client }: Context): void {
  if (READS.includes(request.method)) return;
  const isCookie = identity?.via === "session";
  // What changes something for an anonymous caller: sign-in, which gives the browser a cookie.
  const isOpen = routesOf(target).some((route) => route?.role === "anyone");
  if (isCookie || isOpen) checkOrigin(request, client, { isCookie });
}

function routesOf(target: Target): readonly (Route | RestOnly | undefined)[] {
  return target.kind === "rest" ? [target.route] : target.kind === "trpc" ? target.routes : [];
}

/** Counts a request against its sender; undefined where it is not counted. @throws HubError TOO_MANY_REQUESTS */
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

/** A batch costs what its calls cost. */
function costOf(target: Target): number {
  if (target.kind === "rest") return target.route.cost ?? 1;
  return routesOf(target).reduce((sum, route) => sum + Math.max(1, route?.cost ?? 1), 0) || 1;
}
