import { HubError } from "../errors.ts";

/** Where a request comes from. */
export interface Client {
  /** IP address: the peer's, or what a trusted proxy says. */
  address: string;
  /** Whether it came by https, here or at a trusted proxy. */
  isSecure: boolean;
  /** Whether it came from this very machine and through no proxy. */
  isLocal: boolean;
  /** Scheme and host that the browser shows. */
  origin: string;
}

/**
 * Of one hop that forwarded, the peer's own address. The hub itself speaks plain http: that a request line says `https://` is
 * its sender's word.
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

/** Whether an address is one of the proxies whose headers are believed. */
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
 * Refuses a change that a browser was made to send by another site. What sends neither header is no browser of today.
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
    `A change by cookie must come from ${client.origin} itself (now: Origin ${
      origin ?? "none"
    }, Sec-Fetch-Site ${site ?? "none"}); scripts send a token.`,
  );
}
