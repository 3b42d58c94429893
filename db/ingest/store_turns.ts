import pLimit from "p-limit";
import type { ResultSpool } from "./spool.ts";

/** Runs with more results are large: they occupy a core of the database for a second or more. */
const SMALL_RESULTS = 20_000;
const SMALL_BYTES = 4 << 20;

/**
 * Limits the number of connections that write large runs at once to the machine's cores minus one, in order of arrival.
 * Otherwise the hub's single thread would share its core with them: the system schedules a Postgres process with the same
 * priority as the hub. Small runs do not wait.
 */
export class StoreTurns {
  readonly #limit: ReturnType<typeof pLimit>;

  constructor(atOnce = Math.max(1, navigator.hardwareConcurrency - 1)) {
    this.#limit = pLimit(atOnce);
  }

  /** Call it outside a transaction: a waiting call must not occupy a connection or a lock. */
  async run<T>(spools: readonly ResultSpool[], store: () => Promise<T>): Promise<T> {
    return isLarge(spools) ? await this.#limit(store) : await store();
  }
}

function isLarge(spools: readonly ResultSpool[]): boolean {
  const sum = (of: (spool: ResultSpool) => number) => spools.reduce((all, spool) => all + of(spool), 0);
  return sum((spool) => spool.count + spool.samples) > SMALL_RESULTS ||
    sum((spool) => spool.bytes) > SMALL_BYTES;
}

/** The limit of this process. */
export const storeTurns = new StoreTurns();
