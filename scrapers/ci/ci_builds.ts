import { HubError, reasonOf } from "../../errors.ts";
import type { RunRecord } from "../../schemas/record.ts";
import { beginOf, BuildWatermark, parseWatermark } from "./build_watermark.ts";
import type { BuildSource, BuildWindow, CiBuild } from "./build_source.ts";
import type { ScrapeContext } from "../core/context.ts";
import { ResponseTooLarge } from "../http/fetch.ts";
import type { ScrapeBatch } from "../scraper.ts";

const MAX_BUILDS = 50_000;
const AT_ONCE = 4;
const BATCH_RUNS = 50;
const BATCH_RESULTS = 20_000;
/** Consecutive unreadable builds after which the source counts as down. */
const MAX_FAILURES = 8;

/** Longest that runs wait to be yielded, so that an interrupted scrape loses little. */
const BATCH_MS = 30_000;

/**
 * Yields the runs of a CI system's builds, oldest first. The watermark records how far the source was read, and the versions of
 * the builds read within the overlap, so that only new and changed builds are read. Runs read before an error are yielded
 * before it is thrown.
 * @throws HubError BAD_GATEWAY when the source repeats a page or is down
 */
export async function* scrapeBuilds<B extends CiBuild>(
  source: BuildSource<B>,
  { watermark, window, context }: { watermark: string | null; window: BuildWindow; context: ScrapeContext },
): AsyncGenerator<ScrapeBatch> {
  const past = parseWatermark(watermark);
  const from = past === undefined ? window.first : beginOf(past, window);
  const builds = await collect(source, from, context);
  const marks = new BuildWatermark(builds, { past, from, window, floor: past?.floor ?? source.floor });
  for (const { id } of builds.filter((build) => !build.isOver)) context.ignore("has not finished yet", id);
  const { due } = marks;
  let batch = new Batch(marks, context);
  let ended: unknown;
  let failures = 0;
  let isProbed = false;
  const take = (build: B, { run, reason, later, ends }: ReadBuild): void => {
    if (ends !== undefined) ended ??= ends;
    else if (later !== undefined) {
      context.ignore("cannot be read now; the next scrape retries it", `${build.id}: ${reasonOf(later)}`);
      failures++;
      if (failures >= MAX_FAILURES && isProbed) ended ??= later;
    } else {
      failures = 0;
      if (reason !== undefined) context.ignore(reason, build.id);
      batch.add(build, run);
    }
  };
  for (let next = 0; next < due.length && ended === undefined; next += AT_ONCE) {
    context.signal.throwIfAborted();
    const some = due.slice(next, next + AT_ONCE);
    const found = await Promise.all(some.map((build) => readOne(source, build, context)));
    for (const [at, build] of some.entries()) take(build, found[at]!);
    if (failures >= MAX_FAILURES && ended === undefined && !isProbed) {
      // Either the source is down or these builds are broken: reading the newest shows which.
      isProbed = true;
      const newest = next + AT_ONCE < due.length ? due.pop() : undefined;
      if (newest === undefined) break;
      take(newest, await readOne(source, newest, context));
      failures = failures === 0 ? -Infinity : failures;
    }
    if (batch.isFull) {
      yield batch.toBatch();
      batch = new Batch(marks, context);
    }
  }
  const hasAny = marks.settled > 0;
  if (ended === undefined || hasAny) yield batch.toBatch();
  if (ended !== undefined) throw ended;
  if (failures > 0 && !hasAny) {
    throw new HubError(
      "BAD_GATEWAY",
      `None of ${failures} builds can be read; the scrape's ignored list has the reasons.`,
    );
  }
}

/** Runs that are yielded together. */
class Batch<B extends CiBuild> {
  readonly #runs: RunRecord[] = [];
  readonly #builds = new Map<string, B>();
  readonly #began: number;
  #results = 0;

  constructor(readonly marks: BuildWatermark<B>, readonly context: ScrapeContext) {
    this.#began = context.now().getTime();
  }

  add(build: B, run: RunRecord | undefined): void {
    this.marks.settle(build);
    if (run === undefined) return;
    this.#runs.push(run);
    this.#builds.set(`${run.attempt} ${run.externalId}`, build);
    this.#results += run.results.length;
  }

  get isFull(): boolean {
    return this.#results >= BATCH_RESULTS || this.#runs.length >= BATCH_RUNS ||
      this.#runs.length > 0 && this.context.now().getTime() - this.#began >= BATCH_MS;
  }

  toBatch(): ScrapeBatch {
    return {
      runs: this.#runs,
      watermark: this.marks.format(),
      without: (refused) => {
        for (const { attempt, externalId } of refused) {
          const build = this.#builds.get(`${attempt} ${externalId}`);
          if (build !== undefined) this.marks.forget(build);
        }
        return this.marks.format();
      },
    };
  }
}

interface ReadBuild {
  run?: RunRecord;
  reason?: string;
  later?: unknown;
  ends?: unknown;
}

/** Errors that every other build would meet too, so that they end the scrape. */
const ENDS = ["TOO_MANY_REQUESTS", "BAD_REQUEST", "SERVICE_UNAVAILABLE", "UNAUTHORIZED"];

async function readOne<B extends CiBuild>(
  source: BuildSource<B>,
  build: B,
  { signal }: ScrapeContext,
): Promise<ReadBuild> {
  try {
    const run = await source.read(build);
    return typeof run === "string" ? { reason: run } : { run };
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof HubError) || ENDS.includes(error.code)) return { ends: error };
    if (error.code === "NOT_FOUND") return { reason: "no longer exists" };
    return error instanceof ResponseTooLarge ? { reason: "is too large" } : { later: error };
  }
}

/** All builds from `from` on, in order, each in the state it was listed in last. */
async function collect<B extends CiBuild>(
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
        `The source returned the same page of its list twice: the page that begins with build ${
          page[0]!.id
        }.`,
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
        `The source has more than ${MAX_BUILDS} builds to read; lower the setting \`days\`.`,
      );
    }
  }
  return [...builds.values()].sort((a, b) => a.at - b.at || (a.id < b.id ? -1 : 1));
}
