import { fetchRequestHandler } from "@trpc/server/adapters/fetch";
import { HubError } from "../errors.ts";
import type { Context } from "./context.ts";
import { appRouter } from "./mod.ts";
import { answerRead } from "./rest/answer.ts";
import { boundedBody, checkDepth, tooLarge } from "./rest/body.ts";
import { isAway } from "./trpc.ts";

const MAX_BATCH = 20;
/** Calls that take whole runs. */
const UPLOADS = ["results.push"];

/**
 * tRPC under `/api/trpc`, within the limits that hold for REST.
 * @throws HubError PAYLOAD_TOO_LARGE, BAD_REQUEST; what says that the database is away
 */
export async function answerTrpc(request: Request, hub: Context): Promise<Response> {
  const calls = new URL(request.url).pathname.replace("/api/trpc/", "").split(",");
  if (calls.length > MAX_BATCH) {
    throw new HubError("BAD_REQUEST", `A batch holds at most ${MAX_BATCH} calls.`);
  }
  const limit = calls.some((call) => UPLOADS.includes(call))
    ? hub.config.pushJsonLimit
    : hub.config.jsonLimit;
  if (Number(request.headers.get("content-length") ?? 0) > limit) throw tooLarge(limit);
  const isRead = request.method === "GET" || request.method === "HEAD";
  const body = isRead || request.body === null
    ? undefined
    : await new Blob(await Array.fromAsync(boundedBody(request.body, limit)) as BlobPart[]).text();
  if (body !== undefined) checkDepth(body);
  let away: unknown;
  const response = await fetchRequestHandler({
    endpoint: "/api/trpc",
    req: body === undefined
      ? request
      : new Request(request.url, { method: request.method, headers: request.headers, body }),
    router: appRouter,
    createContext: () => hub,
    onError({ error }) {
      if (isAway(error)) away = error;
    },
  });
  if (away !== undefined) throw away;
  if (!isRead || response.status !== 200) return response;
  if (calls.length > 1) delete hub.reply.etag;
  let json = await response.text();
  for (const text of hub.reply.texts) json = text.putInto(json);
  // Where the asker has it already, what was written is no answer (see UNCHANGED), and is not sent.
  return answerRead(hub, json);
}
