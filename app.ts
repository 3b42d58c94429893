import { Hono } from "hono";
import { compress } from "hono/compress";
import { clientOf } from "./auth/client.ts";
import { RateExceeded } from "./auth/throttle.ts";
import { HubError } from "./errors.ts";
import type { Context, Deps } from "./routers/context.ts";
import { checkSource, countRequest, readSessionId, writeSessionId } from "./routers/rest/credentials.ts";
import { crossOrigin, setHeaders } from "./routers/rest/headers.ts";
import { BodyRoom } from "./routers/rest/body_room.ts";
import { documentRoutes } from "./routers/rest/documents.ts";
import { parseTags } from "./routers/entity_tags.ts";
import { withEtag } from "./routers/rest/etag.ts";
import { checkHost } from "./routers/rest/host.ts";
import { labelList } from "./routers/rest/label_list.ts";
import { refuseSecrets } from "./routers/rest/path.ts";
import { problem } from "./routers/rest/problem.ts";
import { resultsCsv } from "./routers/rest/results_csv.ts";
import { runExport } from "./routers/rest/run_export.ts";
import { resultsUpload } from "./routers/rest/results_upload.ts";
import { createFaultLog, type FaultLog, type Log } from "./routers/fault_log.ts";
import {
  procedureRoutes,
  type RestContext,
  type RestEnv,
  type RestOnly,
  type Route,
} from "./routers/rest/route.ts";
import { createTable } from "./routers/rest/table.ts";
import { asHubError, requireRole } from "./routers/trpc.ts";
import { answerTrpc } from "./routers/trpc_handler.ts";
import { createVersions } from "./routers/versions.ts";

export interface AppOptions {
  log: Log;
  /** Log of conditions that fail many requests; default: a log of the app's own. */
  faults?: FaultLog;
}

const REQUEST_ID = /^[\w.:-]{8,128}$/;

/** Every route of the hub: the procedures' routes, and the REST-only routes. */
export function allRoutes(): { routes: Route[]; extra: RestOnly[] } {
  const routes = procedureRoutes();
  const files = [resultsCsv, resultsUpload, runExport, labelList];
  return { routes, extra: [...files, ...documentRoutes(routes, files)] };
}

/** Creates the whole HTTP side: identity, REST routes, tRPC, documents, and the only error handler. */
export function createApp(
  deps: Deps,
  { log, faults = createFaultLog({ log, now: deps.now }) }: AppOptions,
): Hono<RestEnv> {
  const app = new Hono<RestEnv>();
  const { routes, extra } = allRoutes();
  const fail = (error: unknown, requestId: string): Response => {
    const fault = asHubError(error);
    const fields = { requestId, reason: causeOf(error) };
    if (fault.status === 503 || fault.status === 507) faults.add(fault.message, fields);
    else if (fault.status >= 500) log("error", fault.message, fields);
    return problem(fault, requestId);
  };

  const { auth, throttle, config } = deps;
  const { allowedHosts, trustedProxies } = config.auth;
  const room = new BodyRoom(config.bodyMemory);
  const table = createTable(routes, extra, config);
  const versions = createVersions(deps.sql, { home: config.home, pageCacheSize: config.pageCacheSize });
  const compressing = compress({ threshold: 1024 });
  // Checking whether an answer can be compressed costs more than producing many answers.
  app.use(async (c, next) => {
    if (c.req.header("accept-encoding") === undefined) await next();
    else await compressing(c, next);
    // CORS preflight requests are answered before the context exists.
    const hub = c.get("hub") as Context | undefined;
    if (hub?.reply.isWhole === true || /accept-encoding/i.test(c.res.headers.get("vary") ?? "")) return;
    c.res.headers.append("vary", "accept-encoding");
  });
  if (config.auth.corsOrigins.length > 0) app.use(crossOrigin(config.auth.corsOrigins));
  app.use(async (c, next) => {
    const given = c.req.header("x-request-id");
    const requestId = given !== undefined && REQUEST_ID.test(given) ? given : crypto.randomUUID();
    const remote = c.env?.remote ?? "127.0.0.1";
    const hub: Context = {
      ...deps,
      identity: null,
      // Set once the Host header is found to be well formed.
      client: { address: remote, isSecure: false, isLocal: false, origin: "" },
      agent: c.req.header("user-agent") ?? "",
      requestId,
      signal: c.req.raw.signal,
      idempotencyKey: undefined,
      versions,
      knownTags: parseTags(c.req.header("if-none-match")),
      isBatch: false,
      allowance: undefined,
      room,
      roomTaken: 0,
      reply: { status: 200 },
    };
    c.set("hub", hub);
    try {
      checkHost(c.req.raw, { allowed: allowedHosts, remote, trusted: trustedProxies });
      hub.client = clientOf(c.req.raw, remote, trustedProxies);
      refuseSecrets(c.req.url);
      const target = table.resolve(c);
      c.set("target", target);
      hub.idempotencyKey = idempotencyKey(c.req.header("idempotency-key"));
      hub.identity = await auth.identify({
        authorization: c.req.header("authorization") ?? null,
        sessionId: readSessionId(c, hub.client),
      });
      checkSource(c.req.raw, target, hub);
      hub.allowance = await countRequest(throttle, c.req.raw, target, hub);
      await next();
      if (c.error !== undefined) {
        hub.reply.isWhole = false;
        c.res = fail(c.error, requestId);
      }
    } catch (error) {
      if (error instanceof RateExceeded) hub.allowance = error.allowance;
      hub.reply.isWhole = false;
      c.res = fail(error, requestId);
    } finally {
      if (hub.roomTaken > 0) room.give(hub.roomTaken);
    }
    if (hub.reply.session !== undefined) writeSessionId(c, hub.client, hub.reply.session);
    if (hub.reply.isWhole !== true) setHeaders(c.res.headers, hub);
  });
  app.use(withEtag);
  // The middleware above also sees the error, and logs it.
  app.onError((error, c) => problem(asHubError(error), c.get("hub").requestId));

  app.all("*", answer);
  return app;
}

/** Answers a request by its resolved target. @throws HubError NOT_FOUND, METHOD_NOT_SUPPORTED; what the handler throws */
async function answer(c: RestContext): Promise<Response> {
  const target = c.get("target");
  const hub = c.get("hub");
  if (target.kind === "trpc") return await answerTrpc(c.req.raw, target, hub);
  if (target.kind === "rest") {
    // Checked before any byte of the body is read.
    requireRole(hub, target.route);
    c.set("params", target.params);
    return await target.handle(c);
  }
  const path = target.path.slice(0, 200);
  if (target.methods.length === 0) {
    throw new HubError("NOT_FOUND", `There is no route ${path}; /api/site-map lists all routes.`);
  }
  const allow = [...target.methods, ...(target.methods.includes("GET") ? ["HEAD"] : [])].join(", ");
  const fault = new HubError(
    "METHOD_NOT_SUPPORTED",
    `${path} does not support ${c.req.method}; it supports ${allow}.`,
  );
  return problem(fault, hub.requestId, { allow });
}

function idempotencyKey(header: string | undefined): string | undefined {
  if (header === undefined) return undefined;
  if (!/^[\x21-\x7e]{1,200}$/.test(header)) {
    throw new HubError(
      "BAD_REQUEST",
      "The Idempotency-Key must be 1 to 200 printable ASCII characters without spaces.",
    );
  }
  return header;
}

function causeOf(error: unknown): string {
  const causes: string[] = [];
  for (let at = error; at instanceof Error && causes.length < 5; at = at.cause) causes.push(at.message);
  return causes.join(" <- ").slice(0, 2000);
}
