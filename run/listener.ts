/** What a handler gets of a request besides the request, as from `Deno.serve`. */
type Info = Deno.ServeHandlerInfo<Deno.NetAddr>;
export type Handler = (request: Request, info: Info) => Response | Promise<Response>;

export interface ListenOptions {
  hostname: string;
  port: number;
  /** From a connection's start until its first request is there with all its headers. */
  headerTimeoutMs: number;
  /** From an answer's end until the connection's next request is there with all its headers. */
  idleTimeoutMs: number;
  /** From a whole answer until the client has taken it; default: 10 minutes. What is streamed has no such limit. */
  answerTimeoutMs?: number;
  onListen(at: Deno.NetAddr): void;
  /** Called at each failure, so up to ten times a second. */
  log(message: string, fields?: Record<string, unknown>): void;
}

export interface HubListener {
  addr: Deno.NetAddr;
  /** Connections that are open. */
  readonly size: number;
  /** Accepts no further connection, and closes open ones once their answers are sent, within a second. */
  shutdown(): Promise<void>;
}

interface Connection {
  /** Requests that are not answered in full. */
  running: number;
  /** By `performance.now()`: when it may be closed, unless a request is being read or handled. */
  deadline: number;
  /** The answer that is being sent, where it is the only one. */
  answer: Response | undefined;
  abort: AbortController;
  /** Ends it once what was answered is sent. */
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
/** Pause after a connection could not be accepted, as where file descriptors are used up. */
const PAUSE_MS = 100;
/** At a shutdown: for what was answered to be sent. */
const END_MS = 1000;

/**
 * What `Deno.serve` does for a connection, for connections that we accept; part of Deno 2.9, where `node:http` was built on it.
 * `Deno.serve` itself has no limit on time (Deno's issue 3515). Undefined where this Deno lacks it.
 */
function findServeConnection(): ServeConnection | undefined {
  const deno = Deno as unknown as Record<PropertyKey, unknown> & { internal?: symbol };
  const internals = deno.internal === undefined ? undefined : deno[deno.internal];
  const found = (internals as { serveHttpOnConnection?: unknown } | undefined)?.serveHttpOnConnection;
  return typeof found === "function" ? found as ServeConnection : undefined;
}

/**
 * Serves HTTP as `Deno.serve` does, at its speed, and closes connections that take too long over their headers, over reading
 * an answer, or over nothing.
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
      // Others of its connection, which HTTP/2 may have, are not ended with it.
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
      // Looked at only now: to touch an answer costs as much as to send it.
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

/** Files are streamed: what is sent is read as the client takes it. */
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

/** Whether the client ended its connection before it was accepted, which says nothing of the hub or of other connections. */
function isClientsEnd(error: unknown): boolean {
  return error instanceof Deno.errors.NotConnected || error instanceof Deno.errors.ConnectionReset ||
    error instanceof Deno.errors.ConnectionAborted;
}

/** Closes the connection that would be closed first for being idle. */
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
    "this Deno cannot limit the time of headers and idle connections: serve behind nginx (run/deploy/nginx.conf)",
  );
  return { addr: server.addr, size: 0, shutdown: () => server.shutdown() };
}
