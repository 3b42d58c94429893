import type { Buffer } from "node:buffer";
import { connect as connectNode, createServer, type Socket } from "node:net";
import { TLSSocket } from "node:tls";

/** A TCP proxy before a database, whose connections can fall silent, as when a firewall drops their state. */
export interface TcpProxy {
  /** The database's URL through the proxy. */
  url: string;
  port: number;
  /** Number of open connections. */
  readonly open: number;
  /** Makes open connections forward nothing in either direction, but keeps them open. Returns their number. */
  freeze(): number;
  /** Resets all open connections. */
  reset(): void;
  /** Whether new connections are silent too. */
  freezesNew: boolean;
  close(): Promise<void>;
}

interface Pair {
  sockets: [Socket, Socket];
  isFrozen: boolean;
}

export interface ProxyOptions {
  /** PEM texts, if the proxy offers TLS; otherwise it refuses TLS. */
  tls?: { cert: string; key: string };
}

export async function openProxy(databaseUrl: string, { tls }: ProxyOptions = {}): Promise<TcpProxy> {
  const url = new URL(databaseUrl);
  const folder = url.searchParams.get("host");
  const { hostname, port } = url;
  const pairs = new Set<Pair>();
  const server = createServer({ allowHalfOpen: true }, (near) => {
    if (tls === undefined) return join(near, near);
    near.on("error", () => {});
    near.once("data", (asked: Buffer) => {
      if (asked.length !== 8) return near.destroy();
      near.write("S");
      join(near, new TLSSocket(near, { isServer: true, ...tls }));
    });
  });

  /** `outer`: the socket that is frozen; `near`: the stream that is read and written. */
  function join(outer: Socket, near: Socket): void {
    const far = folder === null
      ? connectNode(Number(port || 5432), hostname)
      : connectNode(`${folder}/.s.PGSQL.${port || "5432"}`);
    const pair: Pair = { sockets: [outer, far], isFrozen: proxy.freezesNew };
    pairs.add(pair);
    for (const [from, to] of [[near, far], [far, near]] as const) {
      from.on("data", (chunk) => void (pair.isFrozen || to.write(chunk)));
      from.on("end", () => void (pair.isFrozen || to.end()));
      from.on("error", () => {});
      from.on("close", () => {
        if (!pair.isFrozen) to.destroy();
        pairs.delete(pair);
      });
    }
  }

  const proxy: TcpProxy = {
    url: "",
    port: 0,
    get open() {
      return pairs.size;
    },
    freezesNew: false,
    freeze() {
      for (const pair of pairs) {
        pair.isFrozen = true;
        // Reading stops, so that sent data fills the buffers, as on a network that drops packets.
        for (const socket of pair.sockets) socket.pause();
      }
      return pairs.size;
    },
    reset() {
      for (const { sockets: [near] } of pairs) near.resetAndDestroy();
    },
    async close() {
      for (const { sockets } of pairs) sockets.forEach((socket) => socket.destroy());
      await new Promise((resolve) => server.close(resolve));
    },
  };
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  proxy.port = (server.address() as { port: number }).port;
  url.searchParams.delete("host");
  url.host = `127.0.0.1:${proxy.port}`;
  proxy.url = url.href;
  return proxy;
}
