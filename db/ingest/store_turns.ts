import pLimit from "p-limit";
import type { ResultSpool } from "./spool.ts";

/** What is more is large: it keeps a core of the database busy for a second or so. */
const SMALL_RESULTS = 20_000;
const SMALL_BYTES = 4 << 20;

/**
 * Lets large runs be written by as many connections at once as the machine has cores but one, in the order they come. The
 * hub's one thread would share a core with them otherwise, and each connection of Postgres is a process as important to the system as
 * the hub. What is small does not wait.
 */
export class StoreTurns {
  readonly #limit: ReturnType<typeof pLimit>;

  constructor(atOnce = Math.max(1, navigator.hardwareConcurrency - 1)) {
    this.#limit = pLimit(atOnce);
  }

  /** Call it outside of a transaction: what waits may not keep a connection or a lock. */
  async run<T>(spools: readonly ResultSpool[], store: () => Promise<T>): Promise<T> {
    return isLarge(spools) ? await this.#limit(store) : await store();
  }
}

function isLarge(spools: readonly ResultSpool[]): boolean {
  const sum = (of: (spool: ResultSpool) => number) => spools.reduce((all, spool) => all + of(spool), 0);
  return sum((spool) => spool.count + spool.samples) > SMALL_RESULTS ||
    sum((spool) => spool.bytes) > SMALL_BYTES;
}

/** The turns of this process. */
export const storeTurns = new StoreTurns();
