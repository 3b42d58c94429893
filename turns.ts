/** Maximum duration of a slice of work before the process handles other events. */
const SLICE_MS = 5;

export interface TurnsOptions {
  /** Returns the time of a monotonic clock, in ms. */
  now?(): number;
  /** Calls `run` after all other pending events were handled. */
  later?(run: () => void): void;
}

/**
 * Divides work on large data into slices, for the whole process: one slice per turn of the event loop, for one waiting
 * task. Code that processes much data calls `take` before each small piece; waiting tasks continue in order of arrival.
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

  /** Whether the current slice is over, so that `take` waits. */
  get isOver(): boolean {
    return this.#now() - this.#began >= SLICE_MS;
  }

  /** Waits for the next slice if the current one is over. */
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
 * Uses a timer, because Deno's runtime polls the network every time only before it waits for a timer. `setImmediate` and
 * messages keep the loop busy, so that it polls once in 61 turns: with slices in between, requests wait for seconds.
 */
function afterNetwork(run: () => void): void {
  setTimeout(run, 0);
}

/** The turns of this process. */
export const turns = new Turns();
