import { listen } from "../../run/listener.ts";
import type { TestApp } from "./app.ts";

export interface WireAnswer {
  status: number;
  headers: Headers;
  body: string;
}

/** The app behind a real socket, for malformed requests that `Request` would correct. */
export interface WireHub extends AsyncDisposable {
  port: number;
  /** Sends a request unchanged, except that it adds `Host`, `Connection: close` and a length. Reads the response. */
  ask(method: string, path: string, options?: WireOptions): Promise<WireAnswer>;
  /** Sends bytes unchanged, and reads one response. */
  send(bytes: string | Uint8Array): Promise<WireAnswer>;
}

export interface WireOptions {
  headers?: Record<string, string>;
  body?: string;
}

/** Serves the app on a free port. */
export function serveOnWire(app: TestApp): WireHub {
  const server = listen(
    (request, info) => app.fetch(request, { remote: info.remoteAddr.hostname }),
    {
      hostname: "127.0.0.1",
      port: 0,
      headerTimeoutMs: app.config.headerTimeoutMs,
      idleTimeoutMs: app.config.idleTimeoutMs,
      onListen: () => {},
      log: (message) => app.logged.push(message),
    },
  );
  const { port } = server.addr;
  const send = (bytes: string | Uint8Array) => exchange(port, bytes);
  return {
    port,
    send,
    ask(method, path, { headers = {}, body } = {}) {
      const all: Record<string, string> = {
        host: `127.0.0.1:${port}`,
        connection: "close",
        ...(body === undefined ? {} : { "content-length": String(new TextEncoder().encode(body).length) }),
        ...headers,
      };
      const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
      return send(`${method} ${path} HTTP/1.1\r\n${lines.join("")}\r\n${body ?? ""}`);
    },
    async [Symbol.asyncDispose]() {
      await server.shutdown();
    },
  };
}

/** Sends bytes on a new connection, and reads one response. */
export async function exchange(port: number, bytes: string | Uint8Array): Promise<WireAnswer> {
  using connection = await Deno.connect({ hostname: "127.0.0.1", port });
  const sent = typeof bytes === "string" ? new TextEncoder().encode(bytes) : bytes;
  for (let at = 0; at < sent.length;) at += await connection.write(sent.subarray(at));
  return parseAnswer(await readAll(connection));
}

/**
 * Reads until one response is complete, or the connection is closed or reset. Does not wait for the close, because a hub that
 * refuses a body answers and keeps the connection open for the rest of the body.
 */
export async function readAll(connection: Deno.Conn): Promise<string> {
  const decoder = new TextDecoder("latin1");
  const buffer = new Uint8Array(1 << 16);
  let text = "";
  try {
    for (let count; !isWhole(text) && (count = await connection.read(buffer)) !== null;) {
      text += decoder.decode(buffer.subarray(0, count));
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.ConnectionReset)) throw error;
  }
  return text;
}

function isWhole(text: string): boolean {
  const { headers, body } = parseAnswer(text);
  const length = headers.get("content-length");
  return length === null
    ? body.endsWith("0\r\n\r\n")
    : body.length >= Number(length) && text.includes("\r\n\r\n");
}

/** Parses the first response; status 0 if there is none. */
export function parseAnswer(text: string): WireAnswer {
  const end = text.indexOf("\r\n\r\n");
  const [first = "", ...lines] = text.slice(0, Math.max(0, end)).split("\r\n");
  const headers = new Headers(
    lines.map((line) => {
      const at = line.indexOf(":");
      return [line.slice(0, at), line.slice(at + 1).trim()] as [string, string];
    }),
  );
  return { status: Number(first.split(" ")[1] ?? 0), headers, body: end < 0 ? "" : text.slice(end + 4) };
}
