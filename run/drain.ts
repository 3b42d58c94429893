/** What Deno.serve tells of a request besides itself. */
type Info = Pick<Deno.ServeHandlerInfo, "completed" | "remoteAddr">;
type Handler = (request: Request, info: Info) => Response | Promise<Response>;

export interface Drain {
  /** The handler to serve. */
  fetch: Handler;
  /** From now on every request is refused with a 503; resolves once those before were answered in full. */
  drain(): Promise<void>;
}

/**
 * Lets running requests finish. Deno's own `server.shutdown()` takes the rest of its body away from a request that is
 * still being sent.
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
    detail: "The hub is stopping; ask again in a moment.",
    code: "SERVICE_UNAVAILABLE",
  };
  return new Response(JSON.stringify(body), {
    status: 503,
    headers: { "content-type": "application/problem+json", "retry-after": "5", connection: "close" },
  });
}
