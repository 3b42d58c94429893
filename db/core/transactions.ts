import { setImmediate, setTimeout } from "node:timers/promises";
import { isConnectionLost } from "./connection_errors.ts";
import type { Db } from "./queryable.ts";

/** Maximum wait for a connection to close after the server announced that it closes it. */
const LOSS_MS = 2000;

type Transaction = (tx: unknown) => unknown;

/**
 * Stops a transaction from sending anything after its connection was lost: the driver (3.4.9, its issue 1208) would write
 * to a socket that no longer exists, outside any promise, which ends the process. `begin` itself rejects with the loss.
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
        // The transaction was not committed, so its result must not be used.
        return state.isLost ? await never() : result;
      } catch (error) {
        // `begin` must see the loss first. If the server has announced that it closes the connection, wait for the close:
        // statements sent before it stay in the driver's queue and prevent the next connection.
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
 * Keeps a lost reserved connection out of the pool. The driver (3.4.9) returns it to the pool on release, and the next
 * query on it ends the process. pg-boss reserves a connection for each of its scripts.
 */
export function guardReserved(sql: Db): void {
  const reserve = sql.reserve.bind(sql) as () => Promise<Reserved>;
  const guarded = async (): Promise<Reserved> => {
    const reserved = await reserve();
    const state = { isLost: false };
    const note = (query: unknown): unknown => {
      if (!(query instanceof Promise)) return query;
      // The driver's own way to fail a query: code that awaits the query finds the connection already marked as lost, and
      // a fragment is not executed.
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

/** Whether the error closes the connection, as every fatal error does. */
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
