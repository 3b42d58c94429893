/** Requests to one server at once, at most. */
const MOST = 8;
/** At first, and at least: servers of few connections have a short queue of those that wait to be taken. */
const FIRST = 4;
const LEAST = 2;
/** An answer that is slower is a sign of a connection that was not taken at once, if it is `SLOW_TIMES` slower than most. */
const SLOW_MS = 250;
const SLOW_TIMES = 5;
/** Answers by which it is known how fast most are. */
const RECENT = 31;
/** Good answers, for each that may be asked at once, after which one more may. */
const ROUND = 8;
/** Good answers after which more at once are tried again than were too many. */
const FORGET = 2000;

interface Asked {
  began: number;
  /** How many were under way with it. */
  level: number;
}

/**
 * Lets as many requests go at once as their server answers well: one more after some good rounds, half as
 * many where one fails or is much slower than most, and for long no more than were too many.
 */
export class Gate {
  #limit = FIRST;
  #ceiling = MOST;
  readonly #under: Asked[] = [];
  #good = 0;
  #sinceCut = 0;
  #cutAt = -Infinity;
  readonly #recent: number[] = [];
  readonly #waiting: (() => void)[] = [];

  /** `now` in milliseconds. */
  constructor(private readonly now: () => number) {}

  get limit(): number {
    return this.#limit;
  }

  /** Runs `ask` once there is room. `isGood` says whether its answer is the server's word, and not a failure. */
  async run<T>(
    ask: () => Promise<T>,
    { signal, isGood }: { signal: AbortSignal | undefined; isGood(answer: T): boolean },
  ): Promise<T> {
    while (this.#under.length >= this.#limit) await this.#room(signal);
    signal?.throwIfAborted();
    const request = { began: this.now(), level: this.#under.length + 1 };
    this.#under.push(request);
    let good = false;
    try {
      const answer = await ask();
      good = isGood(answer);
      return answer;
    } finally {
      this.#under.splice(this.#under.indexOf(request), 1);
      this.#learn(request, good);
      for (const go of this.#waiting.splice(0)) go();
    }
  }

  async #room(signal: AbortSignal | undefined): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.push(resolve);
    const stop = () => resolve();
    signal?.addEventListener("abort", stop, { once: true });
    await promise;
    signal?.removeEventListener("abort", stop);
    signal?.throwIfAborted();
  }

  #learn(request: Asked, good: boolean): void {
    const usual = this.#recent.toSorted((a, b) => a - b)[this.#recent.length >> 1] ?? Infinity;
    const longest = Math.max(SLOW_MS, SLOW_TIMES * usual);
    const isSlow = ({ began }: Asked) => this.now() - began > longest;
    // One that waits still to be taken may do so until others let it.
    const late = this.#under.find((one) => one.began >= this.#cutAt && isSlow(one));
    if (!good || isSlow(request) || late !== undefined) return this.#cut(late ?? request);
    this.#recent.push(this.now() - request.began);
    if (this.#recent.length > RECENT) this.#recent.shift();
    if (++this.#sinceCut >= FORGET) this.#ceiling = MOST;
    if (++this.#good < ROUND * this.#limit || this.#limit >= this.#ceiling) return;
    this.#good = 0;
    this.#limit++;
  }

  #cut({ began, level }: Asked): void {
    this.#good = 0;
    this.#sinceCut = 0;
    // Those that were under way as it was cut are of the same crowd.
    if (began < this.#cutAt) return;
    this.#cutAt = this.now();
    this.#ceiling = Math.max(LEAST, Math.min(this.#limit, level) - 1);
    this.#limit = Math.max(LEAST, Math.min(this.#ceiling, this.#limit >> 1));
  }
}
