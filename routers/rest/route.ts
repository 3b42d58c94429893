import type { Context as HonoContext } from "hono";
import type { z } from "zod";
import type { Role } from "../../auth/roles.ts";
import { appRouter } from "../mod.ts";
import type { Context } from "../context.ts";
import type { RouteMeta } from "../trpc.ts";
import type { Wire } from "../output_schema.ts";

/** What the middleware leaves for a handler. */
export interface RestEnv {
  Variables: {
    hub: Context;
    target: Target;
    /** What the path says, by the names of the route's parameters. */
    params: Record<string, string>;
  };
  /** IP address of the peer; undefined where the app is called without a server: then this machine. */
  Bindings: { remote?: string };
}
export type RestContext = HonoContext<RestEnv>;

/** A route as the site map and OpenAPI tell it. */
export interface Route {
  method: RouteMeta["method"];
  /** With `{name}` for a parameter. */
  path: string;
  summary: string;
  role: Role;
  /** Answers the signed-out even where READ_REQUIRES_LOGIN is set. */
  isOpen?: boolean | undefined;
  /** Requests that one counts as, against the caller's allowance; default: 1. */
  cost?: number | undefined;
  statuses: readonly number[];
  /** Dotted name of the procedure; undefined for what REST alone has. */
  procedure: string | undefined;
  input: z.ZodObject | undefined;
  output: z.ZodType | undefined;
}

/** A route that REST alone has: documents, CSV, raw uploads. */
export interface RestOnly extends Omit<Route, "procedure" | "output" | "input" | "statuses"> {
  input?: z.ZodObject;
  /** What it answers with. */
  produces: string;
  /** What its body may be, where it takes one. */
  consumes?: readonly string[];
  /** Where it shares method and path with a procedure: whether this request is meant for it. */
  when?(c: RestContext): boolean;
  handle(c: RestContext): Promise<Response> | Response;
}

/** What a request calls, decided once; the guard, origin checks, costs and limits all go by it. */
export type Target =
  | { kind: "rest"; route: Route | RestOnly; handle: Handler; params: Record<string, string> }
  /** Names of procedures, and the routes of those that exist. */
  | { kind: "trpc"; calls: readonly string[]; routes: readonly (Route | undefined)[] }
  /** `methods` are those that other routes of this path take. */
  | { kind: "none"; path: string; methods: string[] };

/** Called once the guard has let the request in. */
export type Handler = (c: RestContext) => Response | Promise<Response>;

interface Procedure {
  _def: { meta?: RouteMeta; inputs: z.ZodType[]; output?: Wire<z.ZodType> };
}

/** Every procedure's route, those without parameters before those with, so that no parameter swallows a name. */
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
