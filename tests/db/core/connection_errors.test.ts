import { expect, test } from "vitest";
import { databaseFault, isConnectionLost } from "../../../db/core/connection_errors.ts";
import { HubError } from "../../../errors.ts";

/** Every class of appendix A, "PostgreSQL Error Codes", and the codes of a class that differ; undefined: the request's own fault. */
const STATUSES: Record<string, 503 | 507 | undefined> = {
  "08000": 503, // connection exception
  "08006": 503,
  "08P01": 503, // protocol violation: what PgBouncer reports of its own limits
  "0A000": undefined, // feature not supported
  "21000": undefined, // cardinality violation
  "22003": undefined, // data exception
  "23505": undefined, // integrity constraint violation
  "25001": undefined, // invalid transaction state
  "25006": 503, // read-only
  "25P02": undefined,
  "25P03": 503, // idle_in_transaction_session_timeout
  "25P04": 503, // transaction_timeout
  "28000": 503, // invalid authorization specification
  "28P01": 503,
  "3D000": 503, // invalid catalog name
  "40001": 503, // serialization failure
  "40P01": 503, // deadlock
  "42601": undefined, // syntax error or access rule violation
  "42501": 503, // insufficient privilege
  "42P01": undefined,
  "53000": 503, // insufficient resources
  "53100": 507, // disk full
  "53200": 503, // out of memory
  "53300": 503, // too many connections
  "53400": 503, // configuration limit exceeded
  "54000": undefined, // program limit exceeded
  "55000": 503, // object not in prerequisite state: the database does not accept connections
  "55006": 503, // object in use
  "55P03": 503, // lock not available
  "57014": 503, // query canceled
  "57P01": 503, // admin shutdown
  "57P02": 503, // crash shutdown
  "57P03": 503, // cannot connect now
  "57P04": 503, // database dropped
  "57P05": 503, // idle_session_timeout
  "58000": 503, // system error
  "58030": 503, // io error
  P0001: undefined, // raise exception
  XX000: undefined, // internal error
  CONNECTION_CLOSED: 503,
  CONNECTION_DESTROYED: 503,
  CONNECTION_ENDED: 503,
  CONNECT_TIMEOUT: 503,
  ECONNREFUSED: 503,
  ECONNRESET: 503,
  EHOSTUNREACH: 503,
  ENETUNREACH: 503,
  ENOTFOUND: 503,
  EAI_AGAIN: 503,
  EPIPE: 503,
  ETIMEDOUT: 503,
  TLS_FAILED: 503,
  UNSAFE_TRANSACTION: undefined,
  ENOENT: undefined,
};

test.each(Object.entries(STATUSES))("%s gives %s, directly and as a cause", (code, status) => {
  const error = Object.assign(new Error("secret of the server"), { code });
  for (const given of [error, new Error("outer", { cause: error })]) {
    const fault = databaseFault(given);
    expect(fault?.status).toBe(status);
    expect(fault?.message ?? "").not.toContain("secret");
    if (fault !== undefined) expect(fault.retryAfter).toBeGreaterThan(0);
  }
});

test("a missing socket is the database's fault; a missing file and the cause of a HubError are not", () => {
  const missing = { code: "ENOENT", syscall: "connect" };
  expect(databaseFault(Object.assign(new Error("gone"), missing))?.status).toBe(503);
  const cause = Object.assign(new Error("refused"), { code: "ECONNREFUSED" });
  expect(databaseFault(new HubError("BAD_GATEWAY", "The lab does not answer.", { cause }))).toBeUndefined();
  for (const odd of [undefined, null, "08000", 8]) expect(databaseFault(odd)).toBeUndefined();
});

test("network errors and fatal server errors mean a lost connection", () => {
  const lost = [
    "CONNECTION_CLOSED",
    "ETIMEDOUT",
    "EHOSTUNREACH",
    "08006",
    "25P03",
    "25P04",
    "57P01",
    "57P05",
  ];
  const kept = ["25006", "25P02", "40001", "53100", "57014", "23505"];
  expect(lost.filter((code) => !isConnectionLost({ code }))).toEqual([]);
  expect(kept.filter((code) => isConnectionLost({ code }))).toEqual([]);
  for (const odd of [undefined, null, "08000", { code: 8 }]) expect(isConnectionLost(odd)).toBe(false);
});

test("a fatal error is a 503 whatever its code", () => {
  const refused = Object.assign(new Error("a refusal"), { code: "0A000", severity: "FATAL" });
  expect(databaseFault(refused)).toMatchObject({ status: 503, retryAfter: 5 });
  expect(databaseFault(Object.assign(refused, { severity: "ERROR" }))).toBeUndefined();
});
