import { createHash } from "node:crypto";
import { z } from "zod";
import { HubError, reasonOf } from "../errors.ts";
import type { RunRecord } from "../schemas/record.ts";
import type { ScrapeContext } from "./context.ts";
import type { ScrapeBatch } from "./scraper.ts";

/** A build (pipeline, workflow run) of a CI system, as its lists tell it. */
export interface Build {
  id: string;
  /** Changes when the build is run again or goes on. */
  version: string;
  /** Where it stands in the source's order: milliseconds, or a number that grows. */
  at: number;
  isOver: boolean;
}

/** What there is to read of a CI system. */
export interface BuildSource<B extends Build> {
  /** Pages of the builds at or after `from`, in any order; older ones do no harm, nor do those told twice. */
  list(from: number): AsyncIterable<B[]>;
  /** The run a build gave, or why it gives none. @throws HubError where it cannot be read now */
  read(build: B): Promise<RunRecord | string>;
}

export interface BuildWindow {
  /** Where the first scrape begins. */
  first: number;
  /** How far behind what was read builds are looked at again: for those that came late, or were run again. */
  overlap: number;
  /** How long one that is not over, or cannot be read, keeps the watermark behind it. */
  patience: number;
}

const MAX_BUILDS = 50_000;
/** Builds whose versions a watermark tells. */
const MAX_KNOWN = 5000;
const AT_ONCE = 4;
const BATCH_RUNS = 50;
const BATCH_RESULTS = 20_000;
/** Builds in a row that cannot be read, after which the source is down. */
const MAX_FAILURES = 8;

const watermarkShape = z.object({ upTo: z.number(), read: z.record(z.string(), z.string()) });

/**
 * The runs of a CI system's builds, oldest first. The watermark tells how far was read, and which builds after that less the
 * overlap were read as what version, so that only what is new or changed is read again.
 * @throws HubError BAD_GATEWAY where the source repeats itself or is down
 */
export async function* scrapeBuilds<B extends Build>(
  source: BuildSource<B>,
  { watermark, window, context }: { watermark: string | null; window: BuildWindow; context: ScrapeContext },
): AsyncGenerator<ScrapeBatch> {
  const past = parseWatermark(watermark);
  const from = past === undefined ? window.first : past.upTo - window.overlap;
  const builds = await collect(source, from, context);
  const latest = builds.at(-1)?.at ?? from;
  const read = new Map(
    builds.flatMap(({ id }) => past?.read[id] === undefined ? [] : [[id, past.read[id]!] as const]),
  );
  let upTo = past?.upTo ?? from;
  let hold = Infinity;
  const holdBack = (build: B) => {
    if (build.at >= latest - window.patience) hold = Math.min(hold, build.at);
  };
  const due: B[] = [];
  for (const build of builds) {
    if (!build.isOver) {
      context.ignore("is not over yet", build.id);
      holdBack(build);
    } else if (read.get(build.id) !== shortOf(build.version)) due.push(build);
    else upTo = Math.max(upTo, Math.min(build.at, hold));
  }
  let runs: RunRecord[] = [];
  let results = 0;
  let failures = 0;
  for (let next = 0; next < due.length; next += AT_ONCE) {
    context.signal.throwIfAborted();
    const some = due.slice(next, next + AT_ONCE);
    const found = await Promise.all(some.map((build) => readOne(source, build, context)));
    for (const [at, build] of some.entries()) {
      const { run, reason, later } = found[at]!;
      if (later !== undefined) {
        context.ignore("cannot be read now and is tried again", `${build.id}: ${reasonOf(later)}`);
        holdBack(build);
        if (++failures >= MAX_FAILURES) throw later;
        continue;
      }
      failures = 0;
      if (reason !== undefined) context.ignore(reason, build.id);
      if (run !== undefined) {
        runs.push(run);
        results += run.results.length;
      }
      read.set(build.id, shortOf(build.version));
      upTo = Math.max(upTo, Math.min(build.at, hold));
    }
    if (results >= BATCH_RESULTS || runs.length >= BATCH_RUNS) {
      yield { runs, watermark: formatWatermark(upTo, read) };
      [runs, results] = [[], 0];
    }
  }
  yield { runs, watermark: formatWatermark(upTo, read) };
  const lastFault = failures > 0 && failures === due.length;
  if (lastFault) {
    throw new HubError("BAD_GATEWAY", `None of ${failures} builds can be read; see what was ignored.`);
  }
}

interface ReadBuild {
  run?: RunRecord;
  reason?: string;
  later?: unknown;
}

/** Ends the scrape only for what every other build would meet too. */
const ENDS = ["TOO_MANY_REQUESTS", "BAD_REQUEST", "SERVICE_UNAVAILABLE", "UNAUTHORIZED"];

async function readOne<B extends Build>(
  source: BuildSource<B>,
  build: B,
  { signal }: ScrapeContext,
): Promise<ReadBuild> {
  try {
    const run = await source.read(build);
    return typeof run === "string" ? { reason: run } : { run };
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof HubError) || ENDS.includes(error.code)) throw error;
    return error.code === "NOT_FOUND" ? { reason: "is gone" } : { later: error };
  }
}

/** All builds from there on, in order, each as it was told last. */
async function collect<B extends Build>(
  source: BuildSource<B>,
  from: number,
  context: ScrapeContext,
): Promise<B[]> {
  const builds = new Map<string, B>();
  let before = "";
  for await (const page of source.list(from)) {
    context.signal.throwIfAborted();
    const now = page.map(({ id, version }) => `${id} ${version}`).join("\n");
    if (now !== "" && now === before) {
      throw new HubError(
        "BAD_GATEWAY",
        `The source repeats a page of its list: the one with build ${page[0]!.id}.`,
      );
    }
    before = now;
    for (const build of page) {
      if (build.at < from) continue;
      if (!builds.has(build.id)) context.seen();
      builds.set(build.id, build);
    }
    if (builds.size > MAX_BUILDS) {
      throw new HubError(
        "BAD_GATEWAY",
        `The source has more than ${MAX_BUILDS} builds to read; set \`days\` lower.`,
      );
    }
  }
  return [...builds.values()].sort((a, b) => a.at - b.at || (a.id < b.id ? -1 : 1));
}

function parseWatermark(watermark: string | null) {
  try {
    return watermarkShape.safeParse(JSON.parse(watermark ?? "")).data;
  } catch {
    // Of another scraper, or none: everything is read.
    return undefined;
  }
}

function formatWatermark(upTo: number, read: Map<string, string>): string {
  return JSON.stringify({ upTo, read: Object.fromEntries([...read].slice(-MAX_KNOWN)) });
}

function shortOf(version: string): string {
  return createHash("sha256").update(version).digest("base64url").slice(0, 8);
}
