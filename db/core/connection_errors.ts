import { HubError } from "../../errors.ts";

/** Seconds after which a request may succeed again. */
const RETRY_AFTER_S = 5;

/** What the driver and the network report of a server that cannot be reached. */
const UNREACHABLE = new Set([
  "CONNECTION_CLOSED",
  "CONNECTION_ENDED",
  "CONNECTION_DESTROYED",
  "CONNECT_TIMEOUT",
  "ECONNABORTED",
  "ECONNREFUSED",
  "ECONNRESET",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ENOTFOUND",
  "EPIPE",
  "TLS_FAILED",
  "ETIMEDOUT",
]);

/** Whether an error says that the connection it came on is lost, or will be. */
export function isConnectionLost(error: unknown): boolean {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === "string" &&
    (UNREACHABLE.has(code) || /^(?:ENOENT$|08|25P0[34]|57P0[1-5]|53300|58P)/.test(code));
}

/** States of the server, by SQLSTATE (appendix A of Postgres's manual); the first that fits counts. */
const STATES: readonly [RegExp, string][] = [
  [/^(?:08|57P|58|25P0[34])/, "The database is unavailable"],
  [/^(?:28|42501)/, "The database refuses the hub's user"],
  [/^55000/, "The database accepts no connections"],
  [/^3D000/, "The database does not exist on its server"],
  [/^25006/, "The database is read-only, as during a failover, so nothing can be written"],
  [/^57014/, "The database ended the statement before it was finished, as by a time limit"],
  [/^(?:55P03|40|55006)/, "Another change was in progress, so the database ended this one"],
  [/^53[1-9]00|^53000/, "The database is short of memory, connections or another resource"],
];

/**
 * The error of a request that failed for the state of the database, not for its own content: 503, or 507 if its disk is full.
 * Undefined for all else. Looks through the causes, up to a HubError, which says itself what it is.
 */
export function databaseFault(error: unknown): HubError | undefined {
  for (let at = error, depth = 0; at instanceof Object && depth < 5; at = (at as Error).cause, depth++) {
    if (at instanceof HubError) return undefined;
    const { code, syscall } = at as { code?: unknown; syscall?: unknown };
    if (typeof code !== "string") continue;
    if (code === "53100") {
      return new HubError(
        "INSUFFICIENT_STORAGE",
        "The database's disk is full, so nothing can be written; free space on it, then retry.",
        { cause: error, retryAfter: RETRY_AFTER_S },
      );
    }
    // A file that is missing has the code of a missing socket.
    const isUnreachable = UNREACHABLE.has(code) || code === "ENOENT" && syscall === "connect";
    // Whatever its code.
    const isFatal = ["FATAL", "PANIC"].includes(String((at as { severity?: unknown }).severity));
    const what = isUnreachable
      ? "The database is unavailable"
      : /^[0-9A-Z]{5}$/.test(code)
      ? STATES.find(([pattern]) => pattern.test(code))?.[1] ??
        (isFatal ? "The database is unavailable" : undefined)
      : undefined;
    if (what === undefined) continue;
    return new HubError("SERVICE_UNAVAILABLE", `${what}; retry in ${RETRY_AFTER_S} s.`, {
      cause: error,
      retryAfter: RETRY_AFTER_S,
    });
  }
  return undefined;
}

/** Waits for a write that its request can do without, and ignores a database that accepts no writes now. */
export async function writeIfPossible(write: PromiseLike<unknown>): Promise<void> {
  try {
    await write;
  } catch (error) {
    if (!["25006", "53100"].includes(String((error as { code?: unknown }).code))) throw error;
  }
}
