import { Buffer } from "node:buffer";
import { isIP, Socket } from "node:net";
import { Duplex } from "node:stream";
import { cleanStartup, isStartup, Startup } from "./protocol.ts";
import { connect as connectTls, type ConnectionOptions, type TLSSocket } from "node:tls";

/** The server's address and TLS mode. */
export interface ServerAddress {
  /** Path of a Unix socket, used instead of host and port. */
  path: string | undefined;
  host: string;
  port: number;
  tls: TlsMode;
  /** Starts TLS at once, without first asking the server whether it supports TLS. */
  isDirect: boolean;
  timeoutMs: number;
}

/** libpq's `sslmode` as the driver interprets it: `require` encrypts without verification, `verify-full` verifies. */
export type TlsMode = "disable" | "allow" | "prefer" | "require" | "verify-ca" | "verify-full";
const MODES = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];
const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]);

/** Returns the TLS mode of a database URL. */
export function tlsModeOf(url: URL): TlsMode {
  const { searchParams } = url;
  if (searchParams.get("sslrootcert") === "system") return "verify-full";
  const named = searchParams.get("sslmode") ?? searchParams.get("ssl");
  if (named === null || named === "false") return "disable";
  return MODES.includes(named) ? named as TlsMode : "verify-full";
}

/**
 * Opens a socket for the driver, writable from the start. With TLS, it is returned after the handshake. A failed
 * connection also returns a socket: without one, the driver would lose the connection's place in the pool.
 */
export async function openSocket(address: ServerAddress): Promise<Socket> {
  const socket = await open(address);
  const { write, _destroy } = socket;
  const startup = new Startup();
  let isStarting = false;
  let isStarted = false;
  const onData = (chunk: Buffer) => {
    startup.received(chunk);
    if (startup.isReady) socket.off("data", onData);
  };
  socket.on("data", onData);
  return Object.assign(socket, {
    // When a socket closes with an error, the driver (3.4.9) forgets the queries that it accepted between the error and
    // the close, so they would never end. The socket therefore closes without an error.
    _destroy: (error: Error | null, done: (error: Error | null) => void) =>
      _destroy.call(
        socket,
        null,
        (other) => done(error ?? other ?? (isStarting && !startup.isReady ? refused(startup) : null)),
      ),
    write(chunk: Buffer, done?: () => void) {
      const sent = isStarted ? chunk : cleanStartup(chunk);
      if (!isStarted) isStarting = isStartup(chunk);
      isStarted = true;
      return Reflect.apply(write, socket, [sent, done]);
    },
  });
}

/**
 * Returns the error of a connection that ended before it was ready. Without this error the driver (3.4.9) reconnects
 * without end in two cases: after a close without an error, and after a refusal in a pool place whose last connection was
 * lost during a query, because the driver assigns the refusal to that query.
 */
function refused({ refusal }: Startup): Error {
  const { code, message } = refusal ??
    { code: "CONNECTION_CLOSED", message: "The database closed the connection during startup." };
  return Object.assign(new Error(message), { code });
}

async function open(address: ServerAddress): Promise<Socket> {
  const { path, host, port, tls } = address;
  const socket = new Socket();
  // The driver uses them in its error messages.
  Object.assign(socket, { host, port });
  if (path !== undefined) return socket.connect(path);
  socket.connect(port, host);
  if (tls === "disable") return socket;
  try {
    return await withTimeout(encrypt(socket, address), address.timeoutMs);
  } catch (error) {
    socket.destroy();
    const fault = Object.assign(new Error((error as Error).message), { code: "TLS_FAILED" });
    const failed = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() });
    setImmediate(() => failed.destroy(fault));
    return failed as Socket;
  }
}

async function encrypt(socket: Socket, { host, tls, isDirect }: ServerAddress): Promise<Socket> {
  if (!isDirect && !await asksForTls(socket)) {
    if (tls === "allow" || tls === "prefer") return socket;
    throw new Error(`The database server at ${host} does not support TLS, which sslmode=${tls} requires.`);
  }
  const options: ConnectionOptions = {
    socket,
    rejectUnauthorized: tls.startsWith("verify"),
    ...(isIP(host) ? {} : { servername: host }),
    ...(isDirect ? { ALPNProtocols: ["postgresql"] } : {}),
  };
  const { promise, resolve, reject } = Promise.withResolvers<TLSSocket>();
  const secure = connectTls(options, () => resolve(secure));
  secure.on("error", reject);
  await promise;
  secure.off("error", reject);
  return Object.assign(secure, { host });
}

/**
 * Whether the server supports TLS.
 * @throws an error if the server sends more than its one-letter answer: the rest would be unencrypted
 */
async function asksForTls(socket: Socket): Promise<boolean> {
  socket.write(SSL_REQUEST);
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const lost = () =>
    reject(Object.assign(new Error("The database server closed the connection."), { code: "ECONNRESET" }));
  socket.once("data", resolve).once("error", reject).once("close", lost);
  const answer = await promise;
  socket.off("error", reject).off("close", lost);
  if (answer.length !== 1) {
    throw new Error("The database server sent unencrypted data after its answer to the TLS request.");
  }
  return answer.toString() === "S";
}

async function withTimeout<T>(promise: Promise<T>, ms: number): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const error = Object.assign(new Error(`The TLS handshake took longer than ${ms} ms.`), {
    code: "CONNECT_TIMEOUT",
  });
  const timer = setTimeout(() => reject(error), ms);
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
