import { callTRPCProcedure } from "@trpc/server";
import { accepts } from "hono/accepts";
import { z } from "zod";
import { HubError } from "../../errors.ts";
import { appRouter } from "../mod.ts";
import { asHubError } from "../trpc.ts";
import { answerList, answerRead } from "./answer.ts";
import { OPEN_LIMIT, readJson } from "./body.ts";
import { pathParameters, type RestContext, type Route } from "./route.ts";

const JSON_TYPE = { "content-type": "application/json" };

export interface MountOptions {
  jsonLimit: number;
  /** For `POST /api/results`, which accepts whole runs. */
  pushJsonLimit: number;
}

/** The handler of a procedure's route. Combines path, query and body to the procedure's input. */
export function toHandler(route: Route, options: MountOptions): (c: RestContext) => Promise<Response> {
  const names = pathParameters(route.path);
  const known = Object.keys(route.input?.shape ?? {}).filter((name) => !names.includes(name));
  const isRead = route.method === "GET";
  const hasBody = route.method === "POST" || route.method === "PATCH";
  const limit = limitOf(route, options);
  const hint = route.path === "/api/results" && hasBody
    ? " To send a result file in JSON, name it in an X-File-Name header."
    : "";
  const called = {
    router: appRouter,
    path: route.procedure!,
    type: isRead ? "query" as const : "mutation" as const,
    signal: undefined,
    batchIndex: 0,
  };
  return async (c) => {
    const hub = c.get("hub");
    const input: Record<string, unknown> = hasBody ? await readJson(c.req.raw, hub, { limit }) : {};
    rejectUnknown(Object.keys(input), known, "field", hint);
    const query = readQuery(c.req.url, known);
    for (const [name, value] of Object.entries(query)) {
      if (name in input) {
        throw new HubError("BAD_REQUEST", `${name} is both in the query and in the body; send it once.`);
      }
      input[name] = value;
    }
    Object.assign(input, c.get("params"));
    try {
      const answer = await callTRPCProcedure({
        ...called,
        ctx: hub,
        getRawInput: () => Promise.resolve(input),
      });
      const { read, status } = hub.reply;
      if (read !== undefined) return await answerList(hub, read, () => takesGzip(c));
      const text = JSON.stringify(answer);
      return isRead && status === 200 ? answerRead(hub, text) : c.body(text, status as 200, JSON_TYPE);
    } catch (error) {
      throw asHubError(error);
    }
  };
}

/** Maximum size of a route's JSON body, in bytes. */
export function limitOf({ role, procedure }: Route, { jsonLimit, pushJsonLimit }: MountOptions): number {
  if (role === "anyone") return Math.min(OPEN_LIMIT, jsonLimit);
  return procedure === "results.push" ? pushJsonLimit : jsonLimit;
}

function takesGzip(c: RestContext): boolean {
  const given = c.req.header("accept-encoding");
  return given !== undefined &&
    accepts(c, { header: "Accept-Encoding", supports: ["gzip", "identity"], default: "identity" }) === "gzip";
}

/** Parses input of a REST-only route. @throws HubError BAD_REQUEST with an issue for each fault */
export function parseInput<T extends z.ZodType>(schema: T, value: unknown): z.infer<T> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new HubError("BAD_REQUEST", `The input is invalid: ${z.prettifyError(parsed.error)}`, {
    issues: parsed.error.issues.map((issue) => ({ path: issue.path.join("."), message: issue.message })),
  });
}

/** Parses the query. @throws HubError BAD_REQUEST for an unknown or repeated parameter */
export function readQuery(url: string, known: readonly string[]): Record<string, string> {
  const query: Record<string, string> = {};
  for (const [name, value] of new URL(url).searchParams) {
    if (Object.hasOwn(query, name)) {
      throw new HubError(
        "BAD_REQUEST",
        `The parameter ${JSON.stringify(name.slice(0, 100))} is in the query twice; send it once.`,
      );
    }
    query[name] = value;
  }
  rejectUnknown(Object.keys(query), known, "parameter");
  return query;
}

export function rejectUnknown(names: string[], known: readonly string[], what: string, hint = ""): void {
  const unknown = names.filter((name) => !known.includes(name)).map((name) => name.slice(0, 100));
  if (unknown.length === 0) return;
  throw new HubError(
    "BAD_REQUEST",
    `Unknown ${what} ${unknown.slice(0, 5).map((name) => JSON.stringify(name)).join(", ")}; known are ${
      known.join(", ") || "none"
    }.${hint}`,
    {
      issues: unknown.slice(0, 20).map((name) => ({ path: name, message: `is not a ${what} of this route` })),
    },
  );
}
