import type { FormatItem } from "./format.ts";

/** Highest point number that is tracked; a plan may promise any number. */
const MAX_PLANNED = 1_000_000;

/** A parsed plan line; `reason` is the text after `#`. */
export interface WrittenPlan {
  first: number;
  last: number;
  reason: string;
}

/**
 * Parses a plan line: `1..4`; some producers do not begin with 1. Perl's Test.pm adds the numbers of points that are expected to
 * fail (`1..4 todo 2 3;`). Undefined for any other line.
 */
export function readPlan(line: string): WrittenPlan | undefined {
  const [range, first, last] = /^([1-9]\d*)\.\.(\d+)/.exec(line) ?? [];
  if (range === undefined) return undefined;
  let rest = line.slice(range.length);
  if (/^\s+todo/.test(rest)) rest = rest.trimStart().replace(/^todo[\s\d]*;?/, "");
  rest = rest.trimStart();
  if (rest !== "" && !rest.startsWith("#")) return undefined;
  return { first: Number(first), last: Number(last), reason: rest.slice(1).trimStart() };
}

/** The plan of one TAP stream, and the points seen so far. */
export class TapPlan {
  /** The number of the first point; some producers do not begin with 1. */
  first = 1;
  /** The number of the last point. */
  planned: number | undefined;
  count = 0;
  #beyond = 0;
  #seen = new Uint8Array(64);
  /** Points with numbers far above the count so far, which would make `#seen` large. */
  #ahead = new Set<number>();

  get isComplete(): boolean {
    return this.planned !== undefined && this.planned - this.first + 1 === this.count;
  }

  mark(at: number): void {
    this.count++;
    if (this.planned !== undefined && at > this.planned) this.#beyond++;
    if (at > MAX_PLANNED) return;
    if (at > 64 * this.count) {
      this.#ahead.add(at);
      return;
    }
    if (at >= this.#seen.length) {
      const grown = new Uint8Array(Math.min(MAX_PLANNED + 1, Math.max(at + 1, this.#seen.length * 2)));
      grown.set(this.#seen);
      this.#seen = grown;
    }
    this.#seen[at] = 1;
  }

  /**
   * Yields the missing points, named by `nameOf`, and notes of faults in the plan. `isOver`: whether the stream bailed out;
   * `most`: limit of missing points. Returns the number of missing points yielded.
   */
  *end(
    place: string,
    { isOver, most }: { isOver: boolean; most: number },
    nameOf: (at: number) => string,
  ): Generator<FormatItem, number> {
    if (this.planned === undefined) {
      if (!isOver) yield { kind: "note", place, text: "it has no plan: it may be truncated" };
      return 0;
    }
    const points = this.planned - this.first + 1;
    if (this.#beyond > 0 || this.count > points) {
      yield { kind: "note", place, text: `${this.count} points, but its plan has ${points}` };
    }
    let missing = 0;
    const last = Math.min(this.planned, MAX_PLANNED);
    let at = this.first;
    for (; at <= last && missing < most; at++) {
      if (this.#seen[at] === 1 || this.#ahead.has(at)) continue;
      missing++;
      yield { kind: "result", record: { case: nameOf(at), outcome: "not_run" }, isMissing: true };
    }
    if (this.planned > MAX_PLANNED || at <= last) {
      const text = `its plan of ${this.planned} points is checked only up to ${at - 1}`;
      yield { kind: "note", place, text };
    }
    return missing;
  }
}
