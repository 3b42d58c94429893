import { HubError } from "../errors.ts";

/** The origin of a request. */
export interface Client {
  /** IP address: the peer's, or the one that a trusted proxy states. */
  address: string;
  /** Whether the client used https, according to a trusted proxy. */
  isSecure: boolean;
  /** Whether the request came from this machine without a proxy. */
  isLocal: boolean;
  /** Scheme and host that the browser shows. */
  origin: string;
}

/**
 * Determines the client of a request. Forwarding headers count only from a trusted peer. The hub itself serves plain http, so
 * a request line with `https://` is an unverified claim of the sender.
 */
export function clientOf(request: Request, peer: string, trusted: readonly string[]): Client {
  const url = new URL(request.url);
  const remote = plain(peer);
  const isForwarded = ["x-forwarded-for", "forwarded", "x-real-ip"].some((name) => request.headers.has(name));
  if (!isTrusted(remote, trusted)) {
    return {
      address: remote,
      isSecure: false,
      isLocal: isLoopback(remote) && !isForwarded,
      origin: `http://${url.host}`,
    };
  }
  const hops = (request.headers.get("x-forwarded-for") ?? "").split(",").map((hop) => plain(hop.trim()))
    .filter(Boolean);
  const address = hops.findLast((hop) => !isTrusted(hop, trusted)) ?? hops[0] ?? remote;
  const scheme = last(request.headers.get("x-forwarded-proto")) ?? "http";
  const host = last(request.headers.get("x-forwarded-host")) ?? url.host;
  return {
    address: address.slice(0, 64),
    isSecure: scheme === "https",
    isLocal: isLoopback(remote) && !isForwarded,
    origin: `${scheme}://${host}`,
  };
}

/** Whether an address is one of the trusted proxies. */
export function isTrusted(address: string, trusted: readonly string[]): boolean {
  return trusted.length > 0 && trusted.map(plain).includes(plain(address));
}

function last(list: string | null): string | undefined {
  return list?.split(",").at(-1)?.trim().toLowerCase() || undefined;
}

function plain(address: string): string {
  return address.replace(/^\[|\]$/g, "").replace(/^::ffff:(?=\d+\.)/i, "");
}

function isLoopback(address: string): boolean {
  return address === "::1" || address === "localhost" || address.startsWith("127.");
}

/**
 * Rejects a write that another site made a browser send (CSRF). Every current browser sends at least one of the two headers.
 * @throws HubError FORBIDDEN
 */
export function checkOrigin(request: Request, client: Client, { isCookie }: { isCookie: boolean }): void {
  const site = request.headers.get("sec-fetch-site");
  const origin = request.headers.get("origin");
  const isOwn = site !== null
    ? site === "same-origin" || site === "none"
    : origin !== null
    ? origin === client.origin
    : !isCookie;
  if (isOwn && (origin === null || origin === client.origin)) return;
  throw new HubError(
    "FORBIDDEN",
    `A write from a browser must come from a page of ${client.origin}, got Origin ${
      origin ?? "none"
    }, Sec-Fetch-Site ${site ?? "none"}. Scripts must send a token.`,
  );
}
