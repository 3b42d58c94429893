import { HubError } from "../../errors.ts";
import { inTime } from "../deadline.ts";

interface Waiting {
  bytes: number;
  enter(): void;
}

/** How long a body waits for room. */
const WAIT_MS = 5000;

/** The memory that all bodies in flight share, so that many connections do not take their number times the limit. */
export class BodyRoom {
  #free: number;
  /** In the order they came, so that small bodies do not keep a large one waiting. */
  readonly #waiting: Waiting[] = [];

  constructor(readonly bytes: number, private readonly waitMs = WAIT_MS) {
    this.#free = bytes;
  }

  get free(): number {
    return this.#free;
  }

  /** Takes room, as soon as there is some. @throws HubError SERVICE_UNAVAILABLE after 5 s without */
  async take(bytes: number): Promise<void> {
    if (this.#waiting.length === 0 && bytes <= this.#free) {
      this.#free -= bytes;
      return;
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    const one = { bytes, enter: resolve };
    this.#waiting.push(one);
    await inTime(promise, this.waitMs, () => {
      const at = this.#waiting.indexOf(one);
      // Admitted in this very turn, after its time: its promise is looked at no more.
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
      `The body needs ${bytes} bytes of memory, and bodies in flight leave ${this.#free} of ${this.bytes} (BODY_MEMORY); ` +
        "retry in 5 s.",
      { retryAfter: 5 },
    );
  }
}
