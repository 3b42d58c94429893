import { Buffer } from "node:buffer";
import type { Socket } from "node:net";
import type { Exchange } from "./protocol.ts";

/** A CommandComplete message without a command. */
const COMPLETE = Buffer.from("C\0\0\0\x05\0", "latin1");

/** What the driver reads data by, of places in the pool whose last connection was lost at work. */
const interrupted = new WeakSet<object>();

/**
 * Keeps the rows of a connection's first statement in their places. The driver (3.4.9) counts rows up to the end of a
 * statement, and goes on counting on the next connection where one is lost before that end: what follows gets its rows behind
 * as many that are undefined. The end of a statement sets the count back; so a new connection begins with one. It is only
 * safe while the driver still has the lost statement, which it has until the connection is ready.
 */
export function clearLeftovers(socket: Socket, exchange: Exchange): void {
  socket.once("data", () => {
    for (const listener of socket.listeners("data")) {
      if (interrupted.delete(listener)) Reflect.apply(listener, socket, [COMPLETE]);
    }
  });
  socket.once("close", () => {
    if (!exchange.isReady || exchange.state === "idle") return;
    for (const listener of socket.listeners("data")) interrupted.add(listener);
  });
}
