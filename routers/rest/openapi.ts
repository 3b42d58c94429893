import { z } from "zod";
import { createDocument, type ZodOpenApiOperationObject, type ZodOpenApiPathsObject } from "zod-openapi";
import project from "../../deno.json" with { type: "json" };
import { pathParameters, type RestOnly, type Route } from "./route.ts";

export const VERSION = project.version;

const problem = z.object({
  type: z.string(),
  title: z.string(),
  status: z.number().int(),
  detail: z.string(),
  code: z.string(),
  requestId: z.string(),
  issues: z.array(z.object({ path: z.string(), message: z.string() })).optional(),
}).meta({ id: "Problem", description: "RFC 9457 problem details" });

/** The OpenAPI 3.1 document of every route. */
export function openApi(routes: Route[], extra: RestOnly[]): unknown {
  const paths: Record<string, Record<string, ZodOpenApiOperationObject>> = {};
  for (const route of routes) {
    (paths[route.path] ??= {})[route.method.toLowerCase()] = operationOf(route);
  }
  for (const route of extra) {
    const methods = paths[route.path] ??= {};
    const method = route.method.toLowerCase();
    const present = methods[method];
    if (present === undefined) methods[method] = extraOf(route);
    else merge(present, route);
  }
  return createDocument({
    openapi: "3.1.0",
    info: {
      title: "C Hub",
      version: VERSION,
      description:
        "Builds, tests, jobs and results on one changelist axis. Times are UTC, ISO 8601; durations are in milliseconds.",
      license: { name: "MIT", identifier: "MIT" },
    },
    servers: [{ url: "/" }],
    security: [{}, { token: [] }, { session: [] }],
    tags: tagsOf([...routes, ...extra]),
    components: {
      securitySchemes: {
        token: {
          type: "http",
          scheme: "bearer",
          description:
            "An API token from POST /api/auth/tokens, or the admin token; an API token also requires the role's scope",
        },
        session: {
          type: "apiKey",
          in: "cookie",
          name: "__Host-chub",
          description: "The session cookie from POST /api/auth/login",
        },
      },
    },
    paths: paths as ZodOpenApiPathsObject,
  }, { allowEmptySchema: { unknown: true, any: true } } as never);
}

export function tagOf(path: string): string {
  return path.startsWith("/api/") ? path.split("/")[2]!.replace(/\..*/, "") : "pages";
}

function tagsOf(routes: { path: string }[]): { name: string }[] {
  return [...new Set(routes.map((route) => tagOf(route.path)))].sort().map((name) => ({ name }));
}

const problems = {
  "4XX": {
    description: "The request is invalid; `detail` states why",
    content: { "application/problem+json": { schema: problem } },
  },
  "5XX": {
    description: "The hub, its database or the lab failed",
    content: { "application/problem+json": { schema: problem } },
  },
};

function split(route: { path: string; input?: z.ZodObject | undefined }) {
  const names = pathParameters(route.path);
  const shape = route.input?.shape ?? {};
  const pick = (wanted: (name: string) => boolean) =>
    z.object(Object.fromEntries(Object.entries(shape).filter(([name]) => wanted(name))));
  return { names, path: pick((name) => names.includes(name)), rest: pick((name) => !names.includes(name)) };
}

function baseOf(route: { method: string; path: string; summary: string; role: string }) {
  const isOpen = route.role === "anyone";
  return {
    summary: route.summary,
    tags: [tagOf(route.path)],
    description: isOpen ? "Open to all." : `Requires the role ${route.role}.`,
    security:
      (isOpen
        ? [{}, { token: [] }, { session: [] }]
        : [{ token: [route.role] }, { session: [route.role] }]) as Record<string, string[]>[],
  };
}

function operationOf(route: Route): ZodOpenApiOperationObject {
  const { names, path, rest } = split(route);
  const hasBody = route.method === "POST" || route.method === "PATCH";
  const hasRest = Object.keys(rest.shape).length > 0;
  const responses = Object.fromEntries(route.statuses.map((status) => [status, {
    description: { 200: "OK", 201: "Created", 202: "Accepted", 503: "Not ready" }[status] ?? "OK",
    content: { "application/json": { schema: route.output ?? z.unknown() } },
  }]));
  return {
    operationId: route.procedure!,
    ...baseOf(route),
    requestParams: { ...(names.length > 0 ? { path } : {}), ...(!hasBody && hasRest ? { query: rest } : {}) },
    ...(hasBody && hasRest
      ? { requestBody: { required: true, content: { "application/json": { schema: rest } } } }
      : {}),
    responses: { ...responses, ...problems } as ZodOpenApiOperationObject["responses"],
  };
}

const anyText = z.string();

function extraOf(route: RestOnly): ZodOpenApiOperationObject {
  const { names, path, rest } = split(route);
  return {
    operationId: `${route.method.toLowerCase()}${
      route.path.replace(/[^a-z0-9]+(\w?)/gi, (_, next: string) => next.toUpperCase())
    }`,
    ...baseOf(route),
    requestParams: {
      ...(names.length > 0 ? { path } : {}),
      ...(Object.keys(rest.shape).length > 0 ? { query: rest } : {}),
    },
    responses: {
      200: { description: "OK", content: { [route.produces]: { schema: anyText } } },
      ...problems,
    },
  };
}

/** Adds the content types and parameters of a route to the operation that it shares. */
function merge(operation: ZodOpenApiOperationObject, route: RestOnly): void {
  const { rest } = split(route);
  if (route.consumes !== undefined) {
    const content = (operation.requestBody as { content: Record<string, unknown> }).content;
    for (const type of route.consumes) {
      content[type] = { schema: z.string().meta({ description: "The raw file" }) };
    }
  } else {
    const responses = operation.responses as Record<string, { content: Record<string, unknown> }>;
    responses["200"]!.content[route.produces] = { schema: anyText };
  }
  const query = operation.requestParams?.query as z.ZodObject | undefined;
  const known = query?.shape ?? {};
  const added = Object.fromEntries(
    Object.entries(rest.shape).filter(([name]) => !(name in known)).map((
      [name, type],
    ) => [name, (type as z.ZodType).optional()]),
  );
  operation.requestParams = { ...operation.requestParams, query: z.object({ ...known, ...added }) };
  operation.description += ` ${route.summary}.`;
}
