import { setImmediate, setTimeout } from "node:timers/promises";
import { isConnectionLost } from "./connection_errors.ts";
import type { Db } from "./queryable.ts";

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

/**
 * Keeps a reserved connection that was lost out of the pool: the driver (3.4.9) puts it there when it is released, and the next
 * query on it ends the process. pg-boss reserves one for each of its scripts.
 */
export function guardReserved(sql: Db): void {
  const reserve = sql.reserve.bind(sql) as () => Promise<Reserved>;
  const guarded = async (): Promise<Reserved> => {
    const reserved = await reserve();
    const state = { isLost: false };
    const note = (query: unknown): unknown => {
      if (!(query instanceof Promise)) return query;
      // The driver's own way to fail it: what waits for it finds the connection marked, and a fragment is not run.
      const failing = query as Promise<unknown> & { reject(error: unknown): void };
      const { reject } = failing;
      failing.reject = (error) => {
        if (endsConnection(error)) state.isLost = true;
        reject(error);
      };
      return query;
    };
    return new Proxy(reserved, {
      apply: (target, self, args) => state.isLost ? lost() : note(Reflect.apply(target, self, args)),
      get(target, key) {
        if (key === "unsafe") {
          return (...args: Parameters<Reserved["unsafe"]>) =>
            state.isLost ? lost() : note(target.unsafe(...args));
        }
        if (key === "release") return () => void (state.isLost || target.release());
        return Reflect.get(target, key);
      },
    });
  };
  Object.defineProperty(sql, "reserve", { value: guarded });
}

type Reserved = ((...args: unknown[]) => unknown) & {
  unsafe(...args: unknown[]): unknown;
  release(): void;
};

/** The server ends a connection after a fatal error. */
function endsConnection(error: unknown): boolean {
  const { severity } = error as { severity?: unknown };
  return typeof severity === "string" ? ["FATAL", "PANIC"].includes(severity) : isConnectionLost(error);
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
