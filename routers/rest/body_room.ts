import { HubError } from "../../errors.ts";
import { withTimeout } from "../deadline.ts";

interface Waiting {
  bytes: number;
  enter(): void;
}

/** Maximum wait of a body for memory. */
const WAIT_MS = 5000;

/** The memory shared by all bodies in flight, so that total use does not grow with the number of connections. */
export class BodyRoom {
  #free: number;
  /** First come, first served, so that small bodies do not starve a large one. */
  readonly #waiting: Waiting[] = [];

  constructor(readonly bytes: number, private readonly waitMs = WAIT_MS) {
    this.#free = bytes;
  }

  get free(): number {
    return this.#free;
  }

  /** Reserves `bytes` as soon as they are free. @throws HubError SERVICE_UNAVAILABLE after 5 s */
  async take(bytes: number): Promise<void> {
    if (this.#waiting.length === 0 && bytes <= this.#free) {
      this.#free -= bytes;
      return;
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    const entry = { bytes, enter: resolve };
    this.#waiting.push(entry);
    await withTimeout(promise, this.waitMs, () => {
      const at = this.#waiting.indexOf(entry);
      // Admitted in this tick, after its time limit: the promise is already rejected.
      if (at < 0) this.#free += bytes;
      else this.#waiting.splice(at, 1);
      const error = this.#full(bytes);
      this.#admit();
      return error;
    });
  }

  give(bytes: number): void {
    this.#free += bytes;
    this.#admit();
  }

  #admit(): void {
    for (
      let next = this.#waiting[0];
      next !== undefined && next.bytes <= this.#free;
      next = this.#waiting[0]
    ) {
      this.#waiting.shift();
      this.#free -= next.bytes;
      next.enter();
    }
  }

  #full(bytes: number): HubError {
    return new HubError(
      "SERVICE_UNAVAILABLE",
      `The body requires ${bytes} bytes of memory, and ${this.#free} of ${this.bytes} (BODY_MEMORY) are free; ` +
        "retry in 5 s.",
      { retryAfter: 5 },
    );
  }
}
