import { fetchRequestHandler } from "@trpc/server/adapters/fetch";
import { databaseFault } from "../db/faults.ts";
import type { JsonText } from "../db/json_text.ts";
import { HubError } from "../errors.ts";
import type { Context } from "./context.ts";
import { appRouter } from "./mod.ts";
import { answerRead } from "./rest/answer.ts";
import { boundedBody, checkDepth, tooLarge } from "./rest/body.ts";
import type { Target } from "./rest/table.ts";
import { asHubError } from "./trpc.ts";

type TrpcTarget = Target & { kind: "trpc" };

const MAX_BATCH = 20;
/** Calls that take whole runs. */
const UPLOADS = ["results.push"];

/**
 * tRPC under `/api/trpc`, within the limits that hold for REST.
 * @throws HubError PAYLOAD_TOO_LARGE, BAD_REQUEST; the fault of a call that could not be served (503, 507)
 */
export async function answerTrpc(given: Request, { calls }: TrpcTarget, hub: Context): Promise<Response> {
  if (calls.length > MAX_BATCH) {
    throw new HubError("BAD_REQUEST", `A batch holds at most ${MAX_BATCH} calls.`);
  }
  const request = withPath(given, calls);
  const limit = calls.some((call) => UPLOADS.includes(call))
    ? hub.config.pushJsonLimit
    : hub.config.jsonLimit;
  if (Number(request.headers.get("content-length") ?? 0) > limit) throw tooLarge(limit);
  const isRead = request.method === "GET" || request.method === "HEAD";
  const body = isRead || request.body === null
    ? undefined
    : await new Blob(await Array.fromAsync(boundedBody(request.body, limit)) as BlobPart[]).text();
  if (body !== undefined) checkDepth(body);
  hub.isBatch = calls.length > 1;
  const texts: JsonText<unknown>[] = hub.reply.texts = [];
  let unserved: HubError | undefined;
  const response = await fetchRequestHandler({
    endpoint: "/api/trpc",
    req: body === undefined
      ? request
      : new Request(request.url, { method: request.method, headers: request.headers, body }),
    router: appRouter,
    createContext: () => hub,
    onError({ error }) {
      const fault = asHubError(error);
      if (fault.status === 507 || databaseFault(error) !== undefined) unserved = fault;
    },
  });
  if (unserved !== undefined) throw unserved;
  const isAnswer = isRead && response.status === 200 &&
    response.headers.get("content-type")?.startsWith("application/json") === true;
  if (!isAnswer && texts.length === 0) return response;
  let json = await response.text();
  for (const text of texts) json = text.putInto(json);
  const { status, headers } = response;
  // Where the asker has it already, what was written is no answer (see UNCHANGED), and is not sent.
  return isAnswer ? answerRead(hub, json) : new Response(json, { status, headers });
}

/** The request with its path as it was resolved, so that tRPC cannot read another one out of it. */
function withPath(request: Request, calls: readonly string[]): Request {
  const path = `/api/trpc/${calls.map(encodeURIComponent).join(",")}`;
  const { url } = request;
  const from = url.indexOf("/", url.indexOf("://") + 3);
  const query = url.indexOf("?", from);
  const end = query < 0 ? url.length : query;
  if (url.slice(from, end) === path) return request;
  return new Request(url.slice(0, from) + path + url.slice(end), request);
}
