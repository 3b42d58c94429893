import { createHash } from "node:crypto";
import { z } from "zod";
import type { BuildWindow, CiBuild } from "./build_source.ts";

/** Most builds whose versions a watermark contains. */
const MAX_KNOWN = 5000;

const watermarkShape = z.object({
  upTo: z.number(),
  read: z.record(z.string(), z.string()),
  floor: z.number().optional(),
});
export type PastWatermark = z.infer<typeof watermarkShape>;

/** Parses a watermark; undefined for null and for another scraper's watermark. */
export function parseWatermark(watermark: string | null): PastWatermark | undefined {
  try {
    return watermarkShape.safeParse(JSON.parse(watermark ?? "")).data;
  } catch {
    return undefined;
  }
}

/** The lowest `at` to list builds from. */
export function beginOf({ upTo, floor }: PastWatermark, { overlap }: BuildWindow): number {
  return Math.max(upTo - overlap, floor === undefined ? -Infinity : floor + 1);
}

/** Tracks which version of each build was read, and up to where nothing is missing. */
export class BuildWatermark<B extends CiBuild> {
  /** Finished builds whose present version was not read yet, in order. */
  readonly due: B[];
  /** Number of builds read in this scrape. */
  settled = 0;
  readonly #read: Map<string, string>;
  /** Builds that are unfinished or not read yet: the next scrape must list them. */
  readonly #open: Set<B>;
  readonly #start: number;
  readonly #window: BuildWindow;
  readonly #floor: number | undefined;
  #top: number;
  readonly #latest: number;

  constructor(
    builds: B[],
    { past, from, window, floor }: {
      past: PastWatermark | undefined;
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

  /** Marks a build whose run could not be stored as unread; it is retried while it lies within the overlap. */
  forget(build: B): void {
    this.#read.delete(build.id);
  }

  /** The watermark. It stays low enough for the next scrape to list every open build within `patience`. */
  format(): string {
    const { overlap, patience, most = Infinity } = this.#window;
    let limit = most;
    for (const { at } of this.#open) if (at >= this.#latest - patience) limit = Math.min(limit, at + overlap);
    const upTo = Math.max(this.#start, Math.min(this.#top, limit));
    const read = Object.fromEntries([...this.#read].slice(-MAX_KNOWN));
    return JSON.stringify({ upTo, read, ...(this.#floor === undefined ? {} : { floor: this.#floor }) });
  }
}

function shortOf(version: string): string {
  return createHash("sha256").update(version).digest("base64url").slice(0, 8);
}
