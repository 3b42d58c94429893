import { initTRPC, TRPCError } from "@trpc/server";
import { HubError, type HubErrorCode } from "../errors.ts";
import { mayAct, type Role } from "../auth/roles.ts";
import { databaseFault } from "../db/core/connection_errors.ts";
import type { Context } from "./context.ts";
import { withTimeout } from "./deadline.ts";
import { hasLabels, withNumbers } from "./labels.ts";
import { ReadResult } from "./read_result.ts";

/** Source of a procedure's REST route, site map line and OpenAPI operation. */
export interface RouteMeta {
  method: "GET" | "POST" | "PATCH" | "DELETE";
  /** Under `/api`, with `{name}` for a parameter of the input. */
  path: `/api/${string}`;
  summary: string;
  role: Role;
  /** Open to anonymous callers even if READ_REQUIRES_LOGIN is set. */
  isOpen?: boolean;
  /** Number of requests that one call counts as, against the caller's allowance (default 1). 0: REST does not count it. */
  cost?: number;
  /** Statuses of a successful response, the usual one first (default 200). */
  statuses?: readonly (200 | 201 | 202 | 503)[];
}

const t = initTRPC.context<Context>().meta<RouteMeta>().create({
  errorFormatter({ shape, error, ctx }) {
    const fault = asHubError(error);
    return {
      ...shape,
      message: fault.message,
      data: {
        code: shape.data.code,
        httpStatus: fault.status,
        path: shape.data.path,
        issues: fault.issues,
        requestId: ctx?.requestId ?? null,
      },
    };
  },
});

/** @throws HubError UNAUTHORIZED, FORBIDDEN, or SERVICE_UNAVAILABLE if LDAP cannot confirm the caller's roles right now */
export function requireRole(
  { identity, config }: Pick<Context, "identity" | "config">,
  { role, isOpen = false }: { role: Role; isOpen?: boolean | undefined },
): void {
  const required = role === "anyone" && config.auth.readRequiresLogin && !isOpen ? "viewer" : role;
  if (!mayAct(identity, required)) {
    if (identity === null) {
      throw new HubError(
        "UNAUTHORIZED",
        `This route requires the role ${required}, and the request has no session or token. Sign in with POST /api/auth/login, or send ` +
          "`Authorization: Bearer <token>` with a token from POST /api/auth/tokens or the admin token.",
      );
    }
    const scopes = identity.scopes === null ? "" : `, with a token of scopes ${identity.scopes.join(", ")}`;
    throw new HubError(
      "FORBIDDEN",
      `This route requires the role ${required}; ${identity.name} has ${
        identity.roles.join(", ")
      }${scopes}. LDAP_ROLES maps LDAP groups to roles; a token's scopes are set when it is created.`,
    );
  }
  if (identity?.isStale === true && required !== "anyone" && required !== "viewer") {
    throw new HubError(
      "SERVICE_UNAVAILABLE",
      "LDAP is unreachable, so writes are disabled; reads still work. Retry in 10 s.",
      {
        retryAfter: 10,
      },
    );
  }
}

/** Maximum duration of a read, so that an unresponsive database does not block callers indefinitely. */
const READ_LIMIT_MS = 30_000;

function tooLate(): TRPCError {
  const message = `The read took longer than ${READ_LIMIT_MS / 1000} s; request less, or retry later.`;
  return toTrpcError(new HubError("SERVICE_UNAVAILABLE", message, { retryAfter: 5 }));
}

/**
 * Everything that runs before a procedure: the role check, the replacement of labels by changelist numbers, the time limit of
 * reads, and the conversion of HubErrors to tRPC errors, which happens only here. One middleware, since each middleware copies
 * the request's context.
 */
function entrance({ takesNewLabels }: { takesNewLabels: boolean }) {
  return t.middleware(async ({ ctx, meta, type, getRawInput, next }) => {
    try {
      requireRole(ctx, { role: meta?.role ?? "admin", isOpen: meta?.isOpen });
      const answer = async () => {
        const raw = takesNewLabels ? undefined : await getRawInput();
        if (!hasLabels(raw)) return await next();
        const input = await withNumbers(ctx.sql, raw);
        return await next({ getRawInput: () => Promise.resolve(input) });
      };
      const result = await (type === "query" ? withTimeout(answer(), READ_LIMIT_MS, tooLate) : answer());
      if (result.ok && result.data instanceof ReadResult) {
        return { ...result, data: passOn(ctx, result.data) };
      }
      if (result.ok || !(result.error.cause instanceof HubError)) return result;
      return { ...result, error: toTrpcError(result.error.cause) };
    } catch (error) {
      throw error instanceof HubError ? toTrpcError(error) : error;
    }
  });
}

/** A list in a batch is a plain object; any other is written by REST and tRPC, which do not parse its JSON. */
function passOn(ctx: Context, read: ReadResult<unknown>): unknown {
  if (ctx.isBatch) return read.text!.value;
  ctx.reply.read = read;
  return undefined;
}

export const router = t.router;
/** For procedures that accept new labels. */
export const labellingProcedure = t.procedure.use(entrance({ takesNewLabels: true }));
/** Every procedure must have `.meta()`, whose role is checked. Accepts known `label:…` changelists. */
export const procedure = t.procedure.use(entrance({ takesNewLabels: false }));

/** tRPC has no code for a full disk or a wrong host; the HTTP status comes from the cause. */
function trpcCode(code: HubErrorCode) {
  if (code === "INSUFFICIENT_STORAGE") return "SERVICE_UNAVAILABLE";
  return code === "MISDIRECTED_REQUEST" ? "BAD_REQUEST" : code;
}

function toTrpcError(fault: HubError): TRPCError {
  return new TRPCError({ code: trpcCode(fault.code), message: fault.message, cause: fault });
}

/** Converts anything a procedure throws to a HubError; unknown errors become an INTERNAL_SERVER_ERROR without details. */
export function asHubError(error: unknown): HubError {
  const fault = databaseFault(error);
  if (fault !== undefined) return fault;
  if (error instanceof HubError) return error;
  if (isUnstorable(error)) {
    return new HubError(
      "BAD_REQUEST",
      "The input contains a value that cannot be stored: a NUL character, or a number or time out of range.",
      { cause: error },
    );
  }
  if (!(error instanceof TRPCError)) {
    return new HubError(
      "INTERNAL_SERVER_ERROR",
      "The hub failed to process this request; its log has the cause by requestId.",
      { cause: error },
    );
  }
  if (error.cause instanceof HubError) return error.cause;
  const issues = (error.cause as { issues?: { path: PropertyKey[]; message: string }[] } | undefined)?.issues;
  if (error.code === "BAD_REQUEST" && Array.isArray(issues)) {
    return new HubError(
      "BAD_REQUEST",
      "The input is invalid: " +
        issues.map((issue) => `${issue.path.join(".") || "input"}: ${issue.message}`).join("; "),
      {
        issues: issues.map((issue) => ({ path: issue.path.join("."), message: issue.message })),
      },
    );
  }
  if (error.code === "NOT_FOUND") return new HubError("NOT_FOUND", error.message);
  if (error.code === "BAD_REQUEST" || error.code === "PARSE_ERROR") {
    return new HubError("BAD_REQUEST", error.message);
  }
  if (error.code === "METHOD_NOT_SUPPORTED") return new HubError("METHOD_NOT_SUPPORTED", error.message);
  if (error.code === "UNSUPPORTED_MEDIA_TYPE") return new HubError("UNSUPPORTED_MEDIA_TYPE", error.message);
  if (error.code === "PAYLOAD_TOO_LARGE") return new HubError("PAYLOAD_TOO_LARGE", error.message);
  return new HubError(
    "INTERNAL_SERVER_ERROR",
    "The hub failed to process this request; its log has the cause by requestId.",
    { cause: error },
  );
}

/** Postgres errors for a NUL, a lone surrogate, or a number or time out of range (SQLSTATE class 22). */
const UNSTORABLE = new Set(["22021", "22P05", "22P02", "22003", "22007", "22008"]);

function isUnstorable(error: unknown): boolean {
  for (
    let at = error, depth = 0;
    at !== null && at !== undefined && depth < 5;
    at = (at as Error).cause, depth++
  ) {
    if (UNSTORABLE.has(String((at as { code?: unknown }).code))) return true;
  }
  return false;
}
