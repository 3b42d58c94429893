import { createHash } from "node:crypto";
import { z } from "zod";
import type { Build, BuildWindow } from "./build_source.ts";

/** Builds whose versions a watermark tells. */
const MAX_KNOWN = 5000;

const watermarkShape = z.object({
  upTo: z.number(),
  read: z.record(z.string(), z.string()),
  floor: z.number().optional(),
});
export type PastMarks = z.infer<typeof watermarkShape>;

/** What a watermark says; undefined where it is another scraper's, or none. */
export function parseMarks(watermark: string | null): PastMarks | undefined {
  try {
    return watermarkShape.safeParse(JSON.parse(watermark ?? "")).data;
  } catch {
    return undefined;
  }
}

/** Where builds are looked at from. */
export function beginOf({ upTo, floor }: PastMarks, { overlap }: BuildWindow): number {
  return Math.max(upTo - overlap, floor === undefined ? -Infinity : floor + 1);
}

/** Which builds were read as what version, and how far that is all there is. */
export class BuildMarks<B extends Build> {
  /** Builds that are over, and were not read as they are now; in their order. */
  readonly due: B[];
  /** Builds that were read by now. */
  settled = 0;
  readonly #read: Map<string, string>;
  /** Not over, or not read yet: the next scrape must see them. */
  readonly #open: Set<B>;
  readonly #start: number;
  readonly #window: BuildWindow;
  readonly #floor: number | undefined;
  #top: number;
  readonly #latest: number;

  constructor(
    builds: B[],
    { past, from, window, floor }: {
      past: PastMarks | undefined;
      from: number;
      window: BuildWindow;
      floor: number | undefined;
    },
  ) {
    this.#window = window;
    this.#floor = floor;
    this.#read = new Map(
      builds.flatMap(({ id }) => past?.read[id] === undefined ? [] : [[id, past.read[id]!] as const]),
    );
    const isKnown = (build: B) => this.#read.get(build.id) === shortOf(build.version);
    this.due = builds.filter((build) => build.isOver && !isKnown(build));
    this.#open = new Set(builds.filter((build) => !build.isOver || !isKnown(build)));
    this.#start = Math.max(past?.upTo ?? from, floor ?? -Infinity);
    this.#latest = Math.min(builds.at(-1)?.at ?? from, window.most ?? Infinity);
    this.#top = builds.reduce(
      (top, build) => this.#open.has(build) ? top : Math.max(top, build.at),
      -Infinity,
    );
  }

  settle(build: B): void {
    this.settled++;
    this.#read.set(build.id, shortOf(build.version));
    this.#open.delete(build);
    this.#top = Math.max(this.#top, build.at);
  }

  /** Of a build whose run could not be stored: it is read again as long as the overlap reaches it. */
  forget(build: B): void {
    this.#read.delete(build.id);
  }

  /** The next scrape sees what is open for as long as there is patience with it. */
  format(): string {
    const { overlap, patience, most = Infinity } = this.#window;
    let hold = most;
    for (const { at } of this.#open) if (at >= this.#latest - patience) hold = Math.min(hold, at + overlap);
    const upTo = Math.max(this.#start, Math.min(this.#top, hold));
    const read = Object.fromEntries([...this.#read].slice(-MAX_KNOWN));
    return JSON.stringify({ upTo, read, ...(this.#floor === undefined ? {} : { floor: this.#floor }) });
  }
}

function shortOf(version: string): string {
  return createHash("sha256").update(version).digest("base64url").slice(0, 8);
}
