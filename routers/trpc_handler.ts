import { fetchRequestHandler } from "@trpc/server/adapters/fetch";
import { databaseFault } from "../db/core/connection_errors.ts";
import { HubError } from "../errors.ts";
import type { Context } from "./context.ts";
import { appRouter } from "./mod.ts";
import { answerRead, answerUnchanged } from "./rest/answer.ts";
import { limitOf } from "./rest/adapter.ts";
import { checkDepth, readBody, readText } from "./rest/body.ts";
import type { Route } from "./rest/route.ts";
import type { Target } from "./rest/route.ts";
import { asHubError, requireRole } from "./trpc.ts";

type TrpcTarget = Target & { kind: "trpc" };

const MAX_BATCH = 20;

/**
 * Answers tRPC requests under `/api/trpc`, with the same limits as REST.
 * @throws HubError PAYLOAD_TOO_LARGE, BAD_REQUEST; the error of a call that could not be served (503, 507)
 */
export async function answerTrpc(
  given: Request,
  { calls, routes }: TrpcTarget,
  hub: Context,
): Promise<Response> {
  if (calls.length > MAX_BATCH) {
    throw new HubError("BAD_REQUEST", `A batch may have at most ${MAX_BATCH} calls, got ${calls.length}.`);
  }
  const isRead = given.method === "GET" || given.method === "HEAD";
  const text = isRead ? undefined : await readPermitted(given, routes, hub);
  if (text !== undefined) await checkDepth(text);
  const request = rewrite(given, calls, text);
  hub.isBatch = calls.length > 1 || given.headers.get("trpc-accept") === "application/jsonl";
  let unserved: HubError | undefined;
  const response = await fetchRequestHandler({
    endpoint: "/api/trpc",
    req: request,
    router: appRouter,
    createContext: () => hub,
    onError({ error }) {
      const fault = asHubError(error);
      if (fault.status === 507 || databaseFault(error) !== undefined) unserved = fault;
    },
  });
  if (unserved !== undefined) throw unserved;
  const { read } = hub.reply;
  if (read !== undefined) {
    await response.body?.cancel();
    if (read.kind === "unchanged") return answerUnchanged(hub, read.tag!);
    const result = `{"result":{"data":${read.text!.text}}}`;
    return answerRead(hub, isArray(request) ? `[${result}]` : result, read.tag);
  }
  const isAnswer = isRead && response.status === 200 &&
    response.headers.get("content-type")?.startsWith("application/json") === true;
  return isAnswer ? answerRead(hub, await response.text()) : response;
}

/** Whether the client sent its one call as a batch, so that the response is an array. */
function isArray({ url }: Request): boolean {
  return new URL(url).searchParams.get("batch") === "1";
}

/** Reads the body if the caller may make a call that has one; otherwise the role check fails without it. */
async function readPermitted(
  request: Request,
  routes: TrpcTarget["routes"],
  hub: Context,
): Promise<string> {
  const limits = routes.flatMap((route) =>
    route === undefined || route.method === "GET" || !isPermitted(hub, route)
      ? []
      : [limitOf(route, hub.config)]
  );
  if (limits.length === 0) return "";
  return await readText(readBody(request, hub, { limit: Math.max(...limits) }));
}

function isPermitted(hub: Context, route: Route): boolean {
  try {
    requireRole(hub, route);
    return true;
  } catch {
    return false;
  }
}

/**
 * Replaces the request's path by the resolved calls, so that tRPC cannot parse it differently, and its body by `text`, which
 * a `Request` would copy into bytes and back.
 */
function rewrite(request: Request, calls: readonly string[], text: string | undefined): Request {
  const path = `/api/trpc/${calls.map(encodeURIComponent).join(",")}`;
  const { url, method, headers, signal } = request;
  const from = url.indexOf("/", url.indexOf("://") + 3);
  const query = url.indexOf("?", from);
  const end = query < 0 ? url.length : query;
  if (text === undefined && url.slice(from, end) === path) return request;
  const rewritten = new Request(url.slice(0, from) + path + url.slice(end), { method, headers, signal });
  if (text !== undefined) rewritten.text = () => Promise.resolve(text);
  return rewritten;
}
