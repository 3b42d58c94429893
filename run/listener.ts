/** What a handler gets in addition to the request, as from `Deno.serve`. */
type Info = Deno.ServeHandlerInfo<Deno.NetAddr>;
export type Handler = (request: Request, info: Info) => Response | Promise<Response>;

export interface ListenOptions {
  hostname: string;
  port: number;
  /** From a connection's start until all headers of its first request have arrived. */
  headerTimeoutMs: number;
  /** From a response's end until all headers of the connection's next request have arrived. */
  idleTimeoutMs: number;
  /** Maximum time for the client to receive a complete response (default 10 minutes). Streamed responses have no limit. */
  answerTimeoutMs?: number;
  onListen(at: Deno.NetAddr): void;
  /** Called at each failure, up to ten times a second. */
  log(message: string, fields?: Record<string, unknown>): void;
}

export interface HubListener {
  addr: Deno.NetAddr;
  /** Number of open connections. */
  readonly size: number;
  /** Stops accepting connections, and closes open ones once their responses are sent, after at most 1 s. */
  shutdown(): Promise<void>;
}

interface Connection {
  /** Number of requests not yet answered completely. */
  running: number;
  /** When the connection may be closed, by `performance.now()`; Infinity while a request is handled. */
  deadline: number;
  /** The response being sent, if it is the only one. */
  answer: Response | undefined;
  abort: AbortController;
  /** Closes the connection once its responses are sent. */
  end(): void;
  ended: Promise<unknown>;
}

type ServeConnection = (
  connection: Deno.Conn,
  signal: AbortSignal,
  handler: Handler,
  onError: (error: unknown) => Response,
  onListen: () => void,
) => { finished: Promise<void>; shutdown(): Promise<void> };

const TICK_MS = 500;
const ANSWER_MS = 600_000;
/** Pause after a connection could not be accepted, for example for lack of file descriptors. */
const PAUSE_MS = 100;
/** Time to send pending responses at shutdown. */
const END_MS = 1000;

/**
 * Finds Deno's internal function that serves HTTP on an accepted connection (Deno 2.9; its `node:http` uses it), since
 * `Deno.serve` has no time limits (Deno issue 3515). Returns undefined if this Deno lacks it.
 */
function findServeConnection(): ServeConnection | undefined {
  const deno = Deno as unknown as Record<PropertyKey, unknown> & { internal?: symbol };
  const internals = deno.internal === undefined ? undefined : deno[deno.internal];
  const found = (internals as { serveHttpOnConnection?: unknown } | undefined)?.serveHttpOnConnection;
  return typeof found === "function" ? found as ServeConnection : undefined;
}

/**
 * Serves HTTP like `Deno.serve`, as fast, and closes connections that are too slow to send headers or to receive a response,
 * or idle for too long.
 * @throws Deno.errors.AddrInUse
 */
export function listen(handler: Handler, options: ListenOptions): HubListener {
  const serveConnection = findServeConnection();
  if (serveConnection === undefined) return listenPlainly(handler, options);
  const { hostname, port, headerTimeoutMs, idleTimeoutMs, log } = options;
  const answerTimeoutMs = options.answerTimeoutMs ?? ANSWER_MS;
  const listener = Deno.listen({ hostname, port });
  const open = new Set<Connection>();

  function take(conn: Deno.TcpConn): void {
    const abort = new AbortController();
    const connection: Connection = {
      running: 0,
      deadline: performance.now() + headerTimeoutMs,
      answer: undefined,
      abort,
      end: () => {},
      ended: Promise.resolve(),
    };
    const onEnd = () => {
      connection.running--;
      connection.answer = undefined;
      connection.deadline = connection.running > 0 ? Infinity : performance.now() + idleTimeoutMs;
    };
    const handle = async (request: Request, info: Info): Promise<Response> => {
      connection.running++;
      connection.deadline = Infinity;
      info.completed.then(onEnd, onEnd);
      const response = await handler(request, info);
      // With HTTP/2 a connection may have other requests, which a deadline must not end.
      if (connection.running === 1) {
        connection.answer = response;
        connection.deadline = performance.now() + answerTimeoutMs;
      }
      return response;
    };
    const onError = (error: unknown) => {
      log("a request failed", { reason: String(error) });
      return new Response(null, { status: 500 });
    };
    const forget = () => open.delete(connection);
    const server = serveConnection!(conn, abort.signal, handle, onError, () => {});
    open.add(connection);
    connection.ended = server.finished.then(forget, forget);
    connection.end = () => server.shutdown().catch(() => {});
  }

  const watch = setInterval(() => {
    const now = performance.now();
    for (const { deadline, answer, abort } of open) {
      // Checked only now, because inspecting a response costs as much as sending it.
      if (deadline <= now && !isStreamed(answer)) abort.abort();
    }
  }, TICK_MS);
  const ending = new AbortController();
  const accepting = accept(listener, take, { signal: ending.signal, log, makeRoom: () => closeIdlest(open) });
  options.onListen(listener.addr);
  return {
    addr: listener.addr,
    get size() {
      return open.size;
    },
    async shutdown() {
      if (ending.signal.aborted) return;
      clearInterval(watch);
      ending.abort();
      listener.close();
      await accepting;
      const left = [...open];
      for (const { end } of left) end();
      const late = setTimeout(() => left.forEach(({ abort }) => abort.abort()), END_MS);
      await Promise.all(left.map(({ ended }) => ended));
      clearTimeout(late);
    },
  };
}

/** Whether a response is streamed: files and event streams are read only as fast as the client receives them. */
function isStreamed(answer: Response | undefined): boolean {
  if (answer === undefined) return false;
  const { headers } = answer;
  return headers.has("content-disposition") || headers.get("content-type") === "text/event-stream";
}

async function accept(
  listener: Deno.TcpListener,
  take: (conn: Deno.TcpConn) => void,
  { signal, log, makeRoom }: { signal: AbortSignal; log: ListenOptions["log"]; makeRoom(): void },
): Promise<void> {
  while (true) {
    try {
      take(await listener.accept());
    } catch (error) {
      if (signal.aborted) return;
      if (isClientsEnd(error)) continue;
      makeRoom();
      log("connections cannot be accepted; idle ones are closed", { reason: String(error) });
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }
}

/** Whether the client closed its connection before it was accepted, which is not a fault of the hub. */
function isClientsEnd(error: unknown): boolean {
  return error instanceof Deno.errors.NotConnected || error instanceof Deno.errors.ConnectionReset ||
    error instanceof Deno.errors.ConnectionAborted;
}

/** Closes the idle connection with the earliest deadline. */
function closeIdlest(open: Set<Connection>): void {
  let idlest: Connection | undefined;
  for (const one of open) {
    if (one.running === 0 && one.deadline < (idlest?.deadline ?? Infinity)) idlest = one;
  }
  idlest?.abort.abort();
}

function listenPlainly(handler: Handler, { hostname, port, onListen, log }: ListenOptions): HubListener {
  const server = Deno.serve({ hostname, port, onListen }, handler);
  log(
    "this version of Deno cannot time out headers and idle connections; run the hub behind nginx (run/deploy/nginx.conf)",
  );
  return { addr: server.addr, size: 0, shutdown: () => server.shutdown() };
}
