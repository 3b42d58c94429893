import { HubError } from "../../errors.ts";

/** Seconds after which a request may succeed again. */
const RETRY_AFTER_S = 5;

/** Error codes of the driver and the network for an unreachable server. */
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

/** Whether an error means that its connection is lost, or is about to be. */
export function isConnectionLost(error: unknown): boolean {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === "string" &&
    (UNREACHABLE.has(code) || /^(?:ENOENT$|08|25P0[34]|57P0[1-5]|53300|58P)/.test(code));
}

/** Messages by SQLSTATE (appendix A of the Postgres manual); the first match counts. */
const STATES: readonly [RegExp, string][] = [
  [/^(?:08|57P|58|25P0[34])/, "The database is unavailable"],
  [/^(?:28|42501)/, "The database rejects the hub's user"],
  [/^55000/, "The database does not accept connections"],
  [/^3D000/, "The database does not exist on its server"],
  [/^25006/, "The database is read-only, for example during a failover, so nothing can be written"],
  [/^57014/, "The database cancelled the statement, for example at its time limit"],
  [/^(?:55P03|40|55006)/, "A concurrent change conflicted with this one, so the database rolled it back"],
  [/^53[1-9]00|^53000/, "The database is short of memory, connections or another resource"],
];

/**
 * Returns the error for a request that failed because of the state of the database, not because of its content: 503, or
 * 507 if the database's disk is full. Undefined for all other errors. Searches the causes up to the first HubError.
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
    // ENOENT also means a missing file, which is not a fault of the database.
    const isUnreachable = UNREACHABLE.has(code) || code === "ENOENT" && syscall === "connect";
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

/** Waits for an optional write, and ignores its failure if the database is read-only or its disk is full. */
export async function writeIfPossible(write: PromiseLike<unknown>): Promise<void> {
  try {
    await write;
  } catch (error) {
    if (!["25006", "53100"].includes(String((error as { code?: unknown }).code))) throw error;
  }
}
