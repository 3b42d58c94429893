import { setImmediate, setTimeout } from "node:timers/promises";
import { isConnectionLost } from "./faults.ts";
import type { Db } from "./client.ts";

/** Longest that a connection is waited for to end which the server has said it ends. */
const LOSS_MS = 2000;

type Transaction = (tx: unknown) => unknown;

/**
 * Keeps a transaction whose connection was lost from sending anything more: the driver (3.4.9, its issue 1208) writes to a socket that
 * is none then, outside of any promise, which ends the process. `begin` itself rejects by the loss.
 */
export function guardTransactions(sql: Db): void {
  const begin = sql.begin.bind(sql) as (...args: unknown[]) => Promise<unknown>;
  const guarded = (...args: unknown[]): Promise<unknown> => {
    const run = args.pop() as Transaction;
    const state = { isLost: false };
    const loss = Promise.withResolvers<void>();
    const outcome = begin(...args, async (tx: object) => {
      try {
        const result = await run(watched(tx, state));
        // Not committed: nobody hears of what comes of this.
        return state.isLost ? await never() : result;
      } catch (error) {
        // Of the loss `begin` hears first. Where the server says that it ends the connection, it is waited for: what is sent
        // before stays behind in the driver, and keeps the connection that follows from being made.
        const waited = isConnectionLost(error) ? setTimeout(LOSS_MS) : setImmediate();
        await Promise.race([loss.promise, waited]);
        if (state.isLost) await never();
        throw error;
      }
    });
    outcome.catch(() => {
      state.isLost = true;
      loss.resolve();
    });
    return outcome;
  };
  Object.defineProperty(sql, "begin", { value: guarded });
}

function watched(tx: object, state: { isLost: boolean }): object {
  return new Proxy(tx, {
    apply: (target, self, args) =>
      state.isLost ? lost() : Reflect.apply(target as (...args: unknown[]) => unknown, self, args),
    get: (target, key) => state.isLost && key === "unsafe" ? lost : Reflect.get(target, key),
  });
}

function lost(): Promise<never> {
  const error = new Error("The connection to the database was lost.");
  return Promise.reject(Object.assign(error, { code: "CONNECTION_CLOSED" }));
}

function never(): Promise<never> {
  return new Promise(() => {});
}
