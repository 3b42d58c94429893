const GONE = new Set([
  "CONNECTION_CLOSED",
  "CONNECTION_ENDED",
  "CONNECTION_DESTROYED",
  "CONNECT_TIMEOUT",
  "ECONNREFUSED",
  "ECONNRESET",
  "ENOENT",
  "EPIPE",
  "TLS_FAILED",
]);

/** Whether an error says that its connection to the database is lost, or will be. What requests make of errors: db/faults.ts. */
export function isDatabaseAway(error: unknown): boolean {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === "string" && (GONE.has(code) || /^(08|57P0[123]|53300|58P)/.test(code));
}
