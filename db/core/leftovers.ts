import { Buffer } from "node:buffer";
import type { Socket } from "node:net";
import type { Exchange } from "./protocol.ts";

/** A CommandComplete message without a command. */
const COMPLETE = Buffer.from("C\0\0\0\x05\0", "latin1");

/** What the driver reads data by, of places in the pool whose last connection was lost at work. */
const interrupted = new WeakSet<object>();

/**
 * Shows what comes on a socket to its exchange, and keeps the rows of each answer in their places. The driver (3.4.9) counts
 * rows up to the end of a statement, and goes on counting in the next answer where one breaks off by an error, or by the loss
 * of its connection: what follows gets its rows behind as many that are undefined. The end of a statement sets the count back;
 * so the driver is given one before each error, and as a connection follows on a lost one. Both times it still has the
 * statement that broke off, and expects no end of another.
 */
export function follow(socket: Socket, exchange: Exchange): void {
  const { emit } = socket;
  let begun: Buffer = Buffer.alloc(0);
  const pass = (chunk: Buffer) => chunk.length > 0 && Reflect.apply(emit, socket, ["data", chunk]);

  function receive(chunk: Buffer): void {
    exchange.received(chunk);
    const before = begun.length;
    const all = before === 0 ? chunk : Buffer.concat([begun, chunk]);
    let at = 0;
    for (const error of exchange.errors) {
      pass(all.subarray(at, at = before + error));
      pass(COMPLETE);
    }
    // It may be an error that begins there.
    const end = all.length - exchange.begun;
    begun = all.subarray(end);
    pass(all.subarray(at, end));
  }

  Object.assign(socket, {
    emit(event: string, ...args: unknown[]) {
      if (event !== "data") return Reflect.apply(emit, socket, [event, ...args]);
      receive(args[0] as Buffer);
      return true;
    },
  });
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
