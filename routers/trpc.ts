import { initTRPC, TRPCError } from "@trpc/server";
import { HubError, type HubErrorCode } from "../errors.ts";
import { mayAct, type Role } from "../auth/roles.ts";
import { databaseFault } from "../db/core/connection_errors.ts";
import { JsonText } from "../db/core/json_text.ts";
import type { Context } from "./context.ts";
import { inTime } from "./deadline.ts";
import { hasLabels, withNumbers } from "./labels.ts";

/** From here come the REST route, its line in the site map, and its OpenAPI operation. */
export interface RouteMeta {
  method: "GET" | "POST" | "PATCH" | "DELETE";
  /** Under `/api`, with `{name}` for a parameter of the input. */
  path: `/api/${string}`;
  summary: string;
  role: Role;
  /** Answers the signed-out even where READ_REQUIRES_LOGIN is set. */
  isOpen?: boolean;
  /** Requests that one counts as, against the caller's allowance; default: 1. 0: REST does not count it. */
  cost?: number;
  /** Statuses of a good answer, the usual one first; 200 unless told. */
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

/** @throws HubError UNAUTHORIZED, FORBIDDEN, SERVICE_UNAVAILABLE where the asker's standing cannot be told right now */
export function requireRole(
  { identity, config }: Pick<Context, "identity" | "config">,
  { role, isOpen = false }: { role: Role; isOpen?: boolean | undefined },
): void {
  const wanted = role === "anyone" && config.auth.readRequiresLogin && !isOpen ? "viewer" : role;
  if (!mayAct(identity, wanted)) {
    if (identity === null) {
      throw new HubError(
        "UNAUTHORIZED",
        `A sign-in or a token is missing; this route requires the role ${wanted}. Sign in with POST /api/auth/login, or send ` +
          "`Authorization: Bearer <token>` with a token of POST /api/auth/tokens or the admin token.",
      );
    }
    const scopes = identity.scopes === null ? "" : `, by a token of the scopes ${identity.scopes.join(", ")}`;
    throw new HubError(
      "FORBIDDEN",
      `The role ${wanted} is missing, which this route requires; ${identity.name} has ${
        identity.roles.join(", ")
      }${scopes}. LDAP_ROLES gives roles to groups, and a token's scopes are set when it is made.`,
    );
  }
  if (identity?.isStale === true && wanted !== "anyone" && wanted !== "viewer") {
    throw new HubError(
      "SERVICE_UNAVAILABLE",
      "The directory cannot be asked who you are right now; reads go on.",
      {
        retryAfter: 10,
      },
    );
  }
}

/** Longest a read may take; a database that does not answer must not hold its askers for ever. */
const READ_LIMIT_MS = 30_000;

function tooLate(): TRPCError {
  const message = `No answer came within ${READ_LIMIT_MS / 1000} s; ask for less, or later.`;
  return toTrpcError(new HubError("SERVICE_UNAVAILABLE", message, { retryAfter: 5 }));
}

/**
 * All that stands before a procedure, in one middleware, since each costs a copy of what the request knows: the guard, labels
 * in place of changelists, the time that a read may take, and HubErrors thrown below, which become tRPC errors here, and only
 * here.
 */
function entrance({ takesNewLabels }: { takesNewLabels: boolean }) {
  return t.middleware(async ({ ctx, meta, type, getRawInput, next }) => {
    try {
      requireRole(ctx, { role: meta?.role ?? "admin", isOpen: meta?.isOpen });
      const answer = async () => {
        const given = takesNewLabels ? undefined : await getRawInput();
        if (!hasLabels(given)) return await next();
        const input = await withNumbers(ctx.sql, given);
        return await next({ getRawInput: () => Promise.resolve(input) });
      };
      const result = await (type === "query" ? inTime(answer(), READ_LIMIT_MS, tooLate) : answer());
      if (result.ok && result.data instanceof JsonText && ctx.reply.texts !== undefined) {
        result.data.mark();
        ctx.reply.texts.push(result.data);
      }
      if (result.ok || !(result.error.cause instanceof HubError)) return result;
      return { ...result, error: toTrpcError(result.error.cause) };
    } catch (error) {
      throw error instanceof HubError ? toTrpcError(error) : error;
    }
  });
}

export const router = t.router;
/** For what takes labels that are new. */
export const labellingProcedure = t.procedure.use(entrance({ takesNewLabels: true }));
/** Every procedure states its `.meta()`; the guard reads the role there. Takes `label:…` for a changelist. */
export const procedure = t.procedure.use(entrance({ takesNewLabels: false }));

/** tRPC has no code for a full disk or a foreign host; the status comes from the cause. */
function trpcCode(code: HubErrorCode) {
  if (code === "INSUFFICIENT_STORAGE") return "SERVICE_UNAVAILABLE";
  return code === "MISDIRECTED_REQUEST" ? "BAD_REQUEST" : code;
}

function toTrpcError(fault: HubError): TRPCError {
  return new TRPCError({ code: trpcCode(fault.code), message: fault.message, cause: fault });
}

/** The one view of anything a procedure throws; what is not known becomes an INTERNAL_SERVER_ERROR that says nothing. */
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
    return new HubError("INTERNAL_SERVER_ERROR", "The hub failed at this request.", { cause: error });
  }
  if (error.cause instanceof HubError) return error.cause;
  const issues = (error.cause as { issues?: { path: PropertyKey[]; message: string }[] } | undefined)?.issues;
  if (error.code === "BAD_REQUEST" && Array.isArray(issues)) {
    return new HubError(
      "BAD_REQUEST",
      "The input does not fit: " +
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
  return new HubError("INTERNAL_SERVER_ERROR", "The hub failed at this request.", { cause: error });
}

/** What Postgres says of a NUL, a lone surrogate, or a number or time that does not fit (SQLSTATE class 22). */
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
