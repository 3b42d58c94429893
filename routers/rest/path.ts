import { HubError } from "../../errors.ts";

/**
 * Splits a URL's path into segments, each decoded once. No other code decodes paths: whatever depends on the route uses
 * `RouteTable.resolve`. `/` yields one empty segment.
 * @throws HubError BAD_REQUEST if a percent-encoding is invalid, or another parser could interpret the path differently
 */
export function readSegments(url: string): string[] {
  const raw = rawPath(url);
  const refuse = (reason: string, cause?: unknown) =>
    new HubError("BAD_REQUEST", `The path ${reason}: ${raw.slice(0, 200)}`, { cause });
  if (/[\\#]/.test(raw)) throw refuse("must have `\\` and `#` percent-encoded");
  const segments = raw.slice(1).split("/");
  if (!raw.includes("%") && !raw.includes("/.")) return segments;
  let decoded: string[];
  try {
    decoded = segments.map(decodeURIComponent);
  } catch (error) {
    throw refuse("has an invalid percent-encoding", error);
  }
  if (decoded.some((segment) => segment === "." || segment === "..")) {
    throw refuse("must have no `.` or `..` as a segment");
  }
  return decoded;
}

/** The path as sent, without the query; `/` if empty. */
function rawPath(url: string): string {
  const authority = url.indexOf("://") + 3;
  const query = url.indexOf("?", authority);
  const end = query < 0 ? url.length : query;
  const start = url.indexOf("/", authority);
  return start < 0 || start >= end ? "/" : url.slice(start, end);
}

/** Query parameters that must never be in a URL; compared without case and punctuation. */
const SECRETS = new Set([
  "accesstoken",
  "apikey",
  "authorization",
  "bearer",
  "passwd",
  "password",
  "pwd",
  "secret",
  "token",
]);

/**
 * Rejects a password or token in any route's query, because URLs end up in logs, histories and `Referer`.
 * @throws HubError BAD_REQUEST, without the value
 */
export function refuseSecrets(url: string): void {
  const at = url.indexOf("?");
  if (at < 0) return;
  for (const name of new URLSearchParams(url.slice(at)).keys()) {
    if (!isSecretName(name)) continue;
    throw new HubError(
      "BAD_REQUEST",
      `${
        JSON.stringify(name.slice(0, 40))
      } must not be in a URL, because logs and histories store URLs. Send a password in the body of ` +
        "POST /api/auth/login, and a token as `Authorization: Bearer <token>`. Change the value that was sent.",
      { issues: [{ path: name.slice(0, 40), message: "must not be in the query" }] },
    );
  }
}

export function isSecretName(name: string): boolean {
  return SECRETS.has(name.slice(0, 40).toLowerCase().replace(/[^a-z]/g, ""));
}
