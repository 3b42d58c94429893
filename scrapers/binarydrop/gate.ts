/** Most concurrent requests to one server. */
const MAX_LIMIT = 8;
/** Initial and smallest limit: a server with few connections has a short accept queue. */
const FIRST_LIMIT = 4;
const MIN_LIMIT = 2;
/**
 * A response that takes longer than this, and `SLOW_TIMES` the median, probably waited in the accept queue. In milliseconds.
 */
const SLOW_MS = 250;
const SLOW_TIMES = 5;
/** Recent responses that the median is computed from. */
const RECENT = 31;
/** Good responses, times the present limit, after which the limit grows by one. */
const ROUND = 8;
/** Good responses after which a limit that once was too high is tried again. */
const FORGET_AFTER = 2000;

interface RunningRequest {
  began: number;
  /** Number of running requests when it began, itself included. */
  level: number;
}

/**
 * Limits concurrent requests to what their server handles well: one more after enough good responses, half as many after a
 * failure or a very slow response. A limit that was too high is not tried again for `FORGET_AFTER` good responses.
 */
export class Gate {
  #limit = FIRST_LIMIT;
  #ceiling = MAX_LIMIT;
  readonly #running: RunningRequest[] = [];
  #good = 0;
  #goodSinceReduced = 0;
  #reducedAt = -Infinity;
  readonly #recent: number[] = [];
  readonly #waiting: (() => void)[] = [];

  /** `now`: the time in milliseconds. */
  constructor(private readonly now: () => number) {}

  get limit(): number {
    return this.#limit;
  }

  /** Runs `ask` once there is room. `isGood` returns whether its response is a success. */
  async run<T>(
    ask: () => Promise<T>,
    { signal, isGood }: { signal: AbortSignal | undefined; isGood(answer: T): boolean },
  ): Promise<T> {
    while (this.#running.length >= this.#limit) await this.#waitForRoom(signal);
    signal?.throwIfAborted();
    const request = { began: this.now(), level: this.#running.length + 1 };
    this.#running.push(request);
    let good = false;
    try {
      const answer = await ask();
      good = isGood(answer);
      return answer;
    } finally {
      this.#running.splice(this.#running.indexOf(request), 1);
      this.#learn(request, good);
      for (const go of this.#waiting.splice(0)) go();
    }
  }

  async #waitForRoom(signal: AbortSignal | undefined): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.push(resolve);
    const stop = () => resolve();
    signal?.addEventListener("abort", stop, { once: true });
    await promise;
    signal?.removeEventListener("abort", stop);
    signal?.throwIfAborted();
  }

  #learn(request: RunningRequest, good: boolean): void {
    const usual = this.#recent.toSorted((a, b) => a - b)[this.#recent.length >> 1] ?? Infinity;
    const longest = Math.max(SLOW_MS, SLOW_TIMES * usual);
    const isSlow = ({ began }: RunningRequest) => this.now() - began > longest;
    // A request that is still running may be stuck in the accept queue.
    const late = this.#running.find((one) => one.began >= this.#reducedAt && isSlow(one));
    if (!good || isSlow(request) || late !== undefined) return this.#reduce(late ?? request);
    this.#recent.push(this.now() - request.began);
    if (this.#recent.length > RECENT) this.#recent.shift();
    if (++this.#goodSinceReduced >= FORGET_AFTER) this.#ceiling = MAX_LIMIT;
    if (++this.#good < ROUND * this.#limit || this.#limit >= this.#ceiling) return;
    this.#good = 0;
    this.#limit++;
  }

  #reduce({ began, level }: RunningRequest): void {
    this.#good = 0;
    this.#goodSinceReduced = 0;
    // Requests that already ran at the last reduction show the same overload again.
    if (began < this.#reducedAt) return;
    this.#reducedAt = this.now();
    this.#ceiling = Math.max(MIN_LIMIT, Math.min(this.#limit, level) - 1);
    this.#limit = Math.max(MIN_LIMIT, Math.min(this.#ceiling, this.#limit >> 1));
  }
}
