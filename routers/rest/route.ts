import type { Context as HonoContext } from "hono";
import type { z } from "zod";
import type { Role } from "../../auth/roles.ts";
import { appRouter } from "../mod.ts";
import type { Context } from "../context.ts";
import type { RouteMeta } from "../trpc.ts";
import type { OutputSchema } from "../output_schema.ts";

/** Variables that the middleware sets for handlers. */
export interface RestEnv {
  Variables: {
    hub: Context;
    target: Target;
    /** Path parameters by name. */
    params: Record<string, string>;
  };
  /** IP address of the peer; undefined, meaning this machine, if the app is called without a server. */
  Bindings: { remote?: string };
}
export type RestContext = HonoContext<RestEnv>;

/** A route as listed by the site map and OpenAPI. */
export interface Route {
  method: RouteMeta["method"];
  /** With `{name}` for a parameter. */
  path: string;
  summary: string;
  role: Role;
  /** Open to anonymous callers even if READ_REQUIRES_LOGIN is set. */
  isOpen?: boolean | undefined;
  /** Number of requests that one call counts as, against the caller's allowance (default 1). */
  cost?: number | undefined;
  statuses: readonly number[];
  /** Dotted name of the procedure; undefined for REST-only routes. */
  procedure: string | undefined;
  input: z.ZodObject | undefined;
  output: z.ZodType | undefined;
}

/** A REST-only route: documents, CSV, raw uploads. */
export interface RestOnly extends Omit<Route, "procedure" | "output" | "input" | "statuses"> {
  input?: z.ZodObject;
  /** Content type of the response. */
  produces: string;
  /** Content types of the body, if any. */
  consumes?: readonly string[];
  /** For a route that shares method and path with a procedure: whether it handles this request. */
  when?(c: RestContext): boolean;
  handle(c: RestContext): Promise<Response> | Response;
}

/** What a request calls. Resolved once; role and origin checks, costs and limits all use it. */
export type Target =
  | { kind: "rest"; route: Route | RestOnly; handle: Handler; params: Record<string, string> }
  /** Procedure names, and their routes; undefined for unknown procedures. */
  | { kind: "trpc"; calls: readonly string[]; routes: readonly (Route | undefined)[] }
  /** `methods`: those that routes of this path accept. */
  | { kind: "none"; path: string; methods: string[] };

/** Called after the role check. */
export type Handler = (c: RestContext) => Response | Promise<Response>;

interface Procedure {
  _def: { meta?: RouteMeta; inputs: z.ZodType[]; output?: OutputSchema<z.ZodType> };
}

/** Every procedure's route. Routes with fewer parameters come first, so that a parameter does not match a literal segment. */
export function procedureRoutes(): Route[] {
  const procedures = appRouter._def.procedures as unknown as Record<string, Procedure>;
  const routes = Object.entries(procedures).map(([name, { _def }]): Route => {
    if (_def.meta === undefined) throw new Error(`The procedure ${name} has no meta.`);
    const { method, path, summary, role, isOpen, cost, statuses = [200] } = _def.meta;
    return {
      method,
      path,
      summary,
      role,
      isOpen,
      cost,
      statuses,
      procedure: name,
      input: _def.inputs.at(-1) as z.ZodObject | undefined,
      output: _def.output?.schema,
    };
  });
  return routes.sort((a, b) =>
    count(a.path) - count(b.path) ||
    (a.path < b.path ? -1 : a.path > b.path ? 1 : a.method < b.method ? -1 : 1)
  );
}

function count(path: string): number {
  return path.split("{").length;
}

/** Names of the `{…}` parts of a path. */
export function pathParameters(path: string): string[] {
  return [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1]!);
}
