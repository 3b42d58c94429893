import type { Config } from "../../config/config.ts";
import { databaseFault } from "../../db/core/connection_errors.ts";
import type { Db, Queryable } from "../../db/core/queryable.ts";
import { acquireLease, type Lease, LeaseLost, releaseLease, renewLease } from "../../db/core/leases.ts";
import {
  beginScrape,
  endScrape,
  findTestToScrape,
  moveWatermark,
  type ScrapeEnd,
  scrapeLeaseName,
  type ScrapeProgress,
  type TestToScrape,
} from "../../db/tests/scrapes.ts";
import { resolveRuns } from "../../db/ingest/resolve_changelists.ts";
import { spoolRuns } from "../../db/ingest/cases.ts";
import { getCasesVersion, lockTest } from "../../db/tests/test_locks.ts";
import { storeTurns } from "../../db/ingest/store_turns.ts";
import { prepareStore, type SpooledRun, storeRuns } from "../../db/ingest/run_writer.ts";
import type { RunRecord } from "../../schemas/record.ts";
import { HubError, reasonOf } from "../../errors.ts";
import { cleanText } from "../../formats/text.ts";
import { readPolicyOf } from "../../scrapers/http/read_policy.ts";
import { checkedBatches } from "../../scrapers/core/validate_batches.ts";
import { createContext, type ScrapeContext } from "../../scrapers/core/context.ts";
import { type BoundedFetch } from "../../scrapers/http/bounded_fetch.ts";
import { createFetch } from "../../scrapers/http/fetch.ts";
import { ignoreUnplaced } from "../../scrapers/core/records.ts";
import type { ScrapeBatch } from "../../scrapers/scraper.ts";
import type { RateLimits } from "../../scrapers/http/rate_limits.ts";
import { checkSettings, getScraper, type Registry, scrapers } from "../../scrapers/mod.ts";
import { keepLease } from "../keep_lease.ts";
import { readAhead } from "../read_ahead.ts";

export interface ScrapeDeps {
  sql: Db;
  config: Readonly<Config>;
  now(): Date;
  log(message: string, fields?: Record<string, unknown>): void;
  registry?: Registry;
  fetch?: BoundedFetch;
  /** The waiting times that hosts requested; shared by all scrapes of the process. */
  pace?: RateLimits;
  /** Time limit of one scrape. */
  timeLimitMs?: number;
  leaseS?: number;
}

/** Seconds until a scrape's lease expires without a renewal. */
const LEASE_S = 60;
const TIME_LIMIT_MS = 50 * 60_000;

/**
 * Scrapes one test under a lease, and stores each batch with its watermark in one transaction. Errors of the source are
 * recorded in the scrape, never in the queue. If the lease is lost, for example because the test was changed, the scrape
 * ends silently: the worker that took the lease has ended the record.
 */
export async function scrapeTask(
  deps: ScrapeDeps,
  { testId, cause }: { testId: number; cause: string },
  signal: AbortSignal,
): Promise<void> {
  const { sql, leaseS = LEASE_S } = deps;
  const lease = await acquireLease(sql, scrapeLeaseName(testId), `${Deno.pid}`, leaseS);
  if (lease === undefined) return;
  const kept = keepLease(sql, lease, leaseS);
  try {
    const test = await findTestToScrape(sql, testId, { disabled: cause === "request" });
    if (test !== undefined) await scrapeTest(deps, test, { lease, cause, stop: signal, lost: kept.signal });
  } catch (error) {
    if (!(error instanceof LeaseLost)) throw error;
    deps.log("another worker took over a scrape", { testId });
  } finally {
    await kept.stop();
    await releaseLease(sql, lease);
  }
}

interface ScrapeTurn {
  lease: Lease;
  cause: string;
  /** Aborts when the hub stops. */
  stop: AbortSignal;
  /** Aborts when the lease is lost. */
  lost: AbortSignal;
}

async function scrapeTest(deps: ScrapeDeps, test: TestToScrape, turn: ScrapeTurn): Promise<void> {
  const { sql, config, leaseS = LEASE_S, timeLimitMs = TIME_LIMIT_MS } = deps;
  const { lease, cause, stop, lost } = turn;
  const allow = readPolicyOf(config);
  const timeUp = AbortSignal.timeout(timeLimitMs);
  const over = new AbortController();
  const { context, counts } = createContext({
    fetch: deps.fetch ?? createFetch({ allow, ...(deps.pace === undefined ? {} : { pace: deps.pace }) }),
    signal: AbortSignal.any([stop, lost, timeUp, over.signal]),
    allow,
    now: deps.now,
    log: deps.log,
  });
  const inLease = <T>(write: (tx: Queryable) => Promise<T>): Promise<T> =>
    sql.begin(async (tx) => {
      await renewLease(tx, lease, leaseS);
      return await write(tx);
    }) as Promise<T>;
  const scrapeId = await inLease((tx) => beginScrape(tx, test, cause));
  const progress: ScrapeProgress = {
    seen: 0,
    kept: 0,
    ignored: counts.ignored,
    samples: counts.samples,
    runsAdded: 0,
    resultsWritten: 0,
  };
  let end: ScrapeEnd = { state: "done" };
  try {
    const scraper = getScraper(test.scraper, deps.registry ?? scrapers);
    const settings = await checkSettings(test.scraper, test.settings, allow, deps.registry ?? scrapers);
    const scraped = { name: test.name, settings };
    const source = scraper.source(scraped, allow);
    const read = checkedBatches(scraper, scraped, test.watermark, context);
    for await (const { runs, watermark } of readAhead(readyBatches(sql, { read, test, context }))) {
      progress.seen = counts.seen;
      const write = () =>
        inLease((tx) => storeBatch(tx, { runs, watermark, source, test, scrapeId, progress }));
      const stored = await storeTurns.run(runs.map((run) => run.results), write)
        .catch((error) => Promise.reject(new StoreFault(error)));
      Object.assign(progress, stored);
    }
  } catch (caught) {
    const error = caught instanceof StoreFault ? caught.cause : caught;
    // Not the source's fault: the queue's task fails, and the next tick continues.
    const isHubs = error instanceof LeaseLost ||
      caught instanceof StoreFault && databaseFault(error) !== undefined;
    if (isHubs) throw error;
    if (lost.aborted) throw lost.reason;
    if (stop.aborted) end = { state: "handed back" };
    else {
      const reason = timeUp.aborted ? `took longer than ${timeLimitMs / 1000} s` : reasonOf(error);
      end = {
        state: "failed",
        error: cleanText(reason.slice(0, 2000)),
        ...(error instanceof HubError && error.retryAfter !== undefined ? { againS: error.retryAfter } : {}),
      };
      deps.log("a scrape failed", { test: test.name, reason });
    }
  } finally {
    // Stops reading ahead.
    over.abort(new Error("the scrape is over"));
  }
  progress.seen = counts.seen;
  await inLease((tx) => endScrape(tx, { test, scrapeId, progress, end }));
}

/** An error while storing a batch, as opposed to an error of the source. */
class StoreFault extends Error {
  constructor(override readonly cause: unknown) {
    super("storing failed");
  }
}

interface ReadyBatch {
  runs: SpooledRun[];
  watermark: string;
}

/** Yields batches prepared outside their transactions: changelists numbered, results spooled, cases resolved. */
async function* readyBatches(
  sql: Db,
  { read, test, context }: { read: AsyncGenerator<ScrapeBatch>; test: TestToScrape; context: ScrapeContext },
): AsyncGenerator<ReadyBatch> {
  // The runs of the batch being stored may not have ids yet.
  let before = 0;
  for await (const batch of read) {
    let { watermark } = batch;
    const ready = async () => {
      context.signal.throwIfAborted();
      const refused: RunRecord[] = [];
      const runs = await resolveRuns(
        sql,
        batch.runs,
        (run, reason) => {
          refused.push(run);
          ignoreUnplaced(context, run, reason);
        },
      );
      if (refused.length > 0) watermark = batch.without?.(refused) ?? watermark;
      await prepareStore(sql, before + runs.length);
      before = runs.length;
      const known = { id: test.id, casesVersion: await getCasesVersion(sql, test.id) };
      return await spoolRuns(sql, known, runs);
    };
    const runs = await ready().catch((error) => Promise.reject(new StoreFault(error)));
    yield { runs, watermark };
  }
}

interface BatchToStore extends ReadyBatch {
  source: string;
  test: TestToScrape;
  scrapeId: number;
  progress: ScrapeProgress;
}

async function storeBatch(
  tx: Queryable,
  { runs, watermark, source, test, scrapeId, progress }: BatchToStore,
): Promise<ScrapeProgress> {
  const { casesVersion } = await lockTest(tx, test.id);
  for (const { results } of runs) results.expectVersion(casesVersion);
  const stored = await storeRuns(tx, { testId: test.id, source, runs, mode: "replace" });
  const next = {
    ...progress,
    kept: progress.kept + stored.runs.length,
    runsAdded: progress.runsAdded + stored.runs.filter((run) => run.isNew).length,
    resultsWritten: progress.resultsWritten + stored.resultsWritten,
  };
  await moveWatermark(tx, { testId: test.id, scrapeId, watermark, progress: next });
  return next;
}
