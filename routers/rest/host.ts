import { isTrusted } from "../../auth/client.ts";
import { HubError } from "../../errors.ts";

/** `host[:port]`, where the host is a name, an IPv4 address or an IPv6 address in brackets. */
const AUTHORITY = /^(?:\[[\da-f:.]+\]|[\w.-]+)(?::\d{1,5})?$/i;
const IPV4 = /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}$/;

export interface HostOptions {
  /** Allowed host names besides IP addresses and `localhost`; lower case, without a port. */
  allowed: ReadonlySet<string>;
  /** Address of the peer. */
  remote: string;
  trusted: readonly string[];
}

/**
 * Rejects requests for another host. Otherwise a foreign page whose name resolves to this machine (DNS rebinding) could read
 * and sign in as if it were the hub's own. A request without a host is accepted, since browsers always send one.
 * @throws HubError BAD_REQUEST if a host is malformed, MISDIRECTED_REQUEST if it is not the hub's
 */
export function checkHost({ url, headers }: Request, { allowed, remote, trusted }: HostOptions): void {
  const host = headers.get("host");
  if (host !== null && host !== "") check("Host", host, allowed);
  // The request line may name another host than the header, and takes precedence.
  const authority = authorityOf(url);
  if (authority !== host) check("request", authority, allowed);
  const forwarded = headers.get("x-forwarded-host");
  if (forwarded !== null && isTrusted(remote, trusted)) {
    check("X-Forwarded-Host", forwarded.split(",").at(-1)!.trim(), allowed);
  }
}

function authorityOf(url: string): string {
  const start = url.indexOf("://") + 3;
  const length = url.slice(start).search(/[/?#\\]/);
  return length < 0 ? url.slice(start) : url.slice(start, start + length);
}

function check(where: string, authority: string, allowed: ReadonlySet<string>): void {
  const shown = JSON.stringify(authority.slice(0, 100));
  if (!AUTHORITY.test(authority) || !URL.canParse(`http://${authority}/`)) {
    throw new HubError(
      "BAD_REQUEST",
      `The host of the ${where} is malformed: ${shown}. Send a name or address, optionally with a port.`,
    );
  }
  const host = authority.replace(/:\d+$/, "").toLowerCase();
  if (host === "localhost" || allowed.has(host) || host.startsWith("[") || IPV4.test(host)) return;
  throw new HubError(
    "MISDIRECTED_REQUEST",
    `The host of the ${where} is not one of this hub's: ${shown}. The hub accepts IP addresses, localhost, and the names in ` +
      "HOST and ALLOWED_HOSTS; if the name is the hub's, add it to ALLOWED_HOSTS.",
  );
}
