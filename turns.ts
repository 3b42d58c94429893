/** Longest that work on large data goes on before everything else of the process has its turn. */
const SLICE_MS = 5;

export interface TurnsOptions {
  /** Milliseconds of a steady clock. */
  now?(): number;
  /** Calls once all else that is ready has had its turn. */
  later?(run: () => void): void;
}

/**
 * Lets work on data of any size go on in slices, for the whole process: one slice in each turn of the event loop, for one of
 * those that wait. What works through much calls `take` before each piece that is small by itself; what waits goes on in the order it came.
 */
export class Turns {
  #waiting: (() => void)[] = [];
  #began = -Infinity;
  #isComing = false;
  #now: () => number;
  #later: (run: () => void) => void;

  constructor({ now = () => performance.now(), later = afterNetwork }: TurnsOptions = {}) {
    this.#now = now;
    this.#later = later;
  }

  /** Whether the present slice is over, so that `take` waits. */
  get isOver(): boolean {
    return this.#now() - this.#began >= SLICE_MS;
  }

  /** Waits for the next slice, where the present one is over. */
  take(): Promise<void> | undefined {
    if (!this.isOver) return undefined;
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.#come();
    });
  }

  #come(): void {
    if (this.#isComing) return;
    this.#isComing = true;
    this.#later(() => {
      this.#isComing = false;
      this.#began = this.#now();
      this.#waiting.shift()?.();
      if (this.#waiting.length > 0) this.#come();
    });
  }
}

/**
 * By a timer: only before it waits for one does Deno's runtime look at the network each time. `setImmediate` and messages keep
 * it busy, so that it looks once in 61 turns, and with slices in between requests wait for seconds.
 */
function afterNetwork(run: () => void): void {
  setTimeout(run, 0);
}

/** The turns of this process. */
export const turns = new Turns();
