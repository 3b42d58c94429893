import { Buffer } from "node:buffer";
import type { Socket } from "node:net";
import type { Exchange } from "./protocol.ts";

/** A CommandComplete message without a command. */
const COMPLETE = Buffer.from("C\0\0\0\x05\0", "latin1");

/** The driver's data listeners of pool places whose last connection was lost during a statement. */
const interrupted = new WeakSet<object>();

/**
 * Passes received data to the exchange and to the driver, and corrects the driver's row count. The driver (3.4.9) counts
 * rows up to the end of a statement. If an answer breaks off by an error or a lost connection, it continues counting in
 * the next answer, whose rows then follow as many undefined ones. The end of a statement resets the count, so the driver
 * is given a CommandComplete before each error, and when a connection replaces a lost one. In both cases the driver still
 * has the statement that broke off and expects no other end.
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
    // The incomplete message may be an error, so it waits for its rest.
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
