import { type MountOptions, toHandler } from "./adapter.ts";
import { readSegments } from "./path.ts";
import type { Handler, RestContext, RestOnly, Route, Target } from "./route.ts";

export interface RouteTable {
  /** Finds the target of a request. @throws HubError BAD_REQUEST if the path cannot be decoded */
  resolve(c: RestContext): Target;
}

interface Entry {
  method: string;
  steps: Step[];
  main: { route: Route | RestOnly; handle: Handler };
  /** Other routes with the same method and path, each for requests that its `when` accepts. */
  others: { route: RestOnly; handle: Handler }[];
}
type Step = { text: string } | { parameter: string };

/** The routes of REST and tRPC. A route with fewer parameters takes precedence. */
export function createTable(routes: Route[], extra: RestOnly[], options: MountOptions): RouteTable {
  const entries: Entry[] = routes.map((route) => ({
    method: route.method,
    steps: stepsOf(route.path),
    main: { route, handle: toHandler(route, options) },
    others: extra.filter((other) => isSame(other, route)).map(withHandler),
  }));
  const alone = extra.filter((other) => !routes.some((route) => isSame(other, route)));
  for (const route of alone) {
    entries.push({
      method: route.method,
      steps: stepsOf(route.path),
      main: withHandler(route),
      others: [],
    });
  }
  entries.sort((a, b) => parametersIn(a) - parametersIn(b));
  const byLength = Map.groupBy(entries, ({ steps }) => steps.length);
  const byProcedure = new Map(routes.map((route) => [route.procedure, route]));

  return {
    resolve(c) {
      const segments = readSegments(c.req.url);
      if (segments.length === 3 && segments[0] === "api" && segments[1] === "trpc") {
        const calls = segments[2]!.split(",");
        return { kind: "trpc", calls, routes: calls.map((name) => byProcedure.get(name)) };
      }
      const method = c.req.method === "HEAD" ? "GET" : c.req.method;
      const fitting = byLength.get(segments.length)?.filter(({ steps }) => fits(steps, segments)) ?? [];
      const entry = fitting.find((one) => one.method === method);
      if (entry === undefined) {
        const methods = [...new Set(fitting.map((one) => one.method))].sort();
        return { kind: "none", path: `/${segments.join("/")}`, methods };
      }
      const { route, handle } = entry.others.find((other) => other.route.when!(c)) ?? entry.main;
      return { kind: "rest", route, handle, params: parametersOf(entry.steps, segments) };
    },
  };
}

function isSame(a: { method: string; path: string }, b: { method: string; path: string }): boolean {
  return a.method === b.method && a.path === b.path;
}

function withHandler(route: RestOnly): Entry["others"][number] {
  return { route, handle: route.handle };
}

function stepsOf(path: string): Step[] {
  return path.slice(1).split("/").map((part) =>
    part.startsWith("{") ? { parameter: part.slice(1, -1) } : { text: part }
  );
}

function parametersIn({ steps }: Entry): number {
  return steps.filter((step) => "parameter" in step).length;
}

function fits(steps: Step[], segments: readonly string[]): boolean {
  return steps.every((step, at) => "text" in step ? step.text === segments[at] : segments[at] !== "");
}

function parametersOf(steps: Step[], segments: readonly string[]): Record<string, string> {
  const found: Record<string, string> = {};
  for (const [at, step] of steps.entries()) {
    if ("parameter" in step) found[step.parameter] = segments[at]!;
  }
  return found;
}
