import type { ReadPolicy } from "../../scrapers/http/read_policy.ts";
import { createContext } from "../../scrapers/core/context.ts";
import { createFetch, type FetchOptions } from "../../scrapers/http/fetch.ts";

/** An HTTP server on 127.0.0.1 with a test's handler. */
export function serve(handler: (request: Request, url: URL) => Response | Promise<Response>) {
  const server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen() {}, onError: () => new Response("broken", { status: 500 }) },
    (request) => handler(request, new URL(request.url)),
  );
  return {
    url: `http://127.0.0.1:${server.addr.port}`,
    host: `127.0.0.1:${server.addr.port}`,
    close: () => server.shutdown(),
  };
}

export function allowance(options: Partial<ReadPolicy> = {}): ReadPolicy {
  return { hosts: [], roots: [], dataDir: "/nowhere/data", labUrl: undefined, secrets: [], ...options };
}

/** A context with the real fetch, whose pauses between attempts are recorded and skipped. */
export function scrapeContext(allow: ReadPolicy, options: Partial<FetchOptions> = {}) {
  const waits: number[] = [];
  const fetch = createFetch({
    allow,
    attempts: 2,
    sleep: (ms) => {
      waits.push(ms);
      return Promise.resolve();
    },
    ...options,
  });
  const controller = new AbortController();
  return { ...createContext({ fetch, signal: controller.signal, allow }), waits, controller };
}
