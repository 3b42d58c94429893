/** Deno.serve's information about a request. */
type Info = Pick<Deno.ServeHandlerInfo, "completed" | "remoteAddr">;
type Handler = (request: Request, info: Info) => Response | Promise<Response>;

export interface Drain {
  /** The handler to serve. */
  fetch: Handler;
  /** Refuses all further requests with a 503; resolves once earlier requests have been answered completely. */
  drain(): Promise<void>;
}

/**
 * Lets running requests finish. Deno's `server.shutdown()` would discard the rest of a request body that is still being sent.
 */
export function createDrain(fetch: Handler): Drain {
  const running = new Set<Promise<unknown>>();
  let isDraining = false;
  return {
    fetch(request, info) {
      if (isDraining) return refuse();
      const done = info.completed.catch(() => {}).finally(() => running.delete(done));
      running.add(done);
      return fetch(request, info);
    },
    async drain() {
      isDraining = true;
      while (running.size > 0) await Promise.all(running);
    },
  };
}

function refuse(): Response {
  const body = {
    type: "/api/docs#SERVICE_UNAVAILABLE",
    title: "Service Unavailable",
    status: 503,
    detail: "The hub is stopping; retry in 5 s.",
    code: "SERVICE_UNAVAILABLE",
  };
  return new Response(JSON.stringify(body), {
    status: 503,
    headers: { "content-type": "application/problem+json", "retry-after": "5", connection: "close" },
  });
}
