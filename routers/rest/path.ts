import { HubError } from "../../errors.ts";

/**
 * The segments of a URL's path, each decoded once. This is the only place that decodes a path: what depends on the route asks
 * `RouteTable.resolve`, never the text. `/` gives one empty segment.
 * @throws HubError BAD_REQUEST where a `%` begins no character, or another reader of the path could understand another one
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
    throw refuse("is not well encoded", error);
  }
  if (decoded.some((segment) => segment === "." || segment === "..")) {
    throw refuse("must have no `.` or `..` as a segment");
  }
  return decoded;
}

/** The path as it was sent, without the query; `/` where there is none. */
function rawPath(url: string): string {
  const authority = url.indexOf("://") + 3;
  const query = url.indexOf("?", authority);
  const end = query < 0 ? url.length : query;
  const start = url.indexOf("/", authority);
  return start < 0 || start >= end ? "/" : url.slice(start, end);
}

/** Names of what must never be in a URL, without case and punctuation. */
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
 * Refuses a password or token in a query, whichever route it is for: URLs end up in logs, histories and `Referer`.
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
      } must not be in a URL, which logs and histories keep. Send a password in the body of ` +
        "POST /api/auth/login, and a token as `Authorization: Bearer <token>`; change the one that was sent.",
      { issues: [{ path: name.slice(0, 40), message: "must not be in the query" }] },
    );
  }
}

export function isSecretName(name: string): boolean {
  return SECRETS.has(name.slice(0, 40).toLowerCase().replace(/[^a-z]/g, ""));
}
