import type { FormatItem } from "./format.ts";

/** Points whose absence is told; a plan may promise any number. */
const MAX_PLANNED = 1_000_000;

/** What one stream of TAP planned, and which points of it came. */
export class TapPlan {
  /** The number of the first point; some producers begin later than with 1. */
  first = 1;
  /** The number of the last point. */
  planned: number | undefined;
  count = 0;
  #beyond = 0;
  #seen = new Uint8Array(1024);

  get isComplete(): boolean {
    return this.planned !== undefined && this.planned - this.first + 1 === this.count;
  }

  mark(at: number): void {
    this.count++;
    if (this.planned !== undefined && at > this.planned) this.#beyond++;
    if (at > MAX_PLANNED) return;
    if (at >= this.#seen.length) {
      const grown = new Uint8Array(Math.min(MAX_PLANNED + 1, Math.max(at + 1, this.#seen.length * 2)));
      grown.set(this.#seen);
      this.#seen = grown;
    }
    this.#seen[at] = 1;
  }

  /** Points that are missing, by `nameOf`, and what is wrong with the plan. `isOver`: that the stream bailed out. */
  *end(place: string, isOver: boolean, nameOf: (at: number) => string): Generator<FormatItem> {
    if (this.planned === undefined) {
      if (!isOver) yield { kind: "note", place, text: "it has no plan: it may have been cut" };
      return;
    }
    const points = this.planned - this.first + 1;
    if (this.#beyond > 0 || this.count > points) {
      yield { kind: "note", place, text: `${this.count} points, where its plan has ${points}` };
    }
    for (let at = this.first; at <= Math.min(this.planned, MAX_PLANNED); at++) {
      if (this.#seen[at] !== 1) {
        yield { kind: "result", record: { case: nameOf(at), outcome: "not_run" }, isMissing: true };
      }
    }
    if (this.planned > MAX_PLANNED) {
      const text = `its plan of ${this.planned} points is followed to ${MAX_PLANNED} only`;
      yield { kind: "note", place, text };
    }
  }
}
