import type { Config } from "../../config.ts";
import type { Db } from "../../db/client.ts";
import { dropLease, findLease, holdLease, type Lease } from "../../db/leases.ts";
import {
  beginScrape,
  endScrape,
  findTestToScrape,
  moveWatermark,
  type ScrapeProgress,
  type TestToScrape,
} from "../../db/scrapes.ts";
import { prepareStore, storeRuns } from "../../db/store.ts";
import { reasonOf } from "../../errors.ts";
import type { BoundedFetch } from "../../scrapers/context.ts";
import { createContext } from "../../scrapers/context.ts";
import { allowanceOf } from "../../scrapers/allow.ts";
import { createFetch } from "../../scrapers/fetch.ts";
import { getScraper, type Registry, scrapers } from "../../scrapers/mod.ts";
import type { ScrapeBatch } from "../../scrapers/scraper.ts";

export interface ScrapeDeps {
  sql: Db;
  config: Readonly<Config>;
  now(): Date;
  log(message: string, fields?: Record<string, unknown>): void;
  registry?: Registry;
  fetch?: BoundedFetch;
  /** For one scrape. */
  timeLimitMs?: number;
}

const LEASE_S = 120;
const TIME_LIMIT_MS = 50 * 60_000;

/**
 * Scrapes one test: each batch with its watermark in one transaction, under a lease. What the source does wrong ends
 * up in the scrape's record, never in the queue.
 */
export async function scrapeTask(
  deps: ScrapeDeps,
  { testId, cause }: { testId: number; cause: string },
  signal: AbortSignal,
): Promise<void> {
  const { sql } = deps;
  const lease = await findLease(sql, `scrape:${testId}`, `${Deno.pid}`, LEASE_S);
  if (lease === undefined) return;
  try {
    const test = await findTestToScrape(sql, testId);
    if (test !== undefined) await scrapeTest(deps, test, { lease, cause, signal });
  } finally {
    await dropLease(sql, lease);
  }
}

async function scrapeTest(
  deps: ScrapeDeps,
  test: TestToScrape,
  { lease, cause, signal }: { lease: Lease; cause: string; signal: AbortSignal },
): Promise<void> {
  const { sql, config } = deps;
  const allow = allowanceOf(config);
  const limit = AbortSignal.any([signal, AbortSignal.timeout(deps.timeLimitMs ?? TIME_LIMIT_MS)]);
  const { context, counts } = createContext({
    fetch: deps.fetch ?? createFetch({ allow }),
    signal: limit,
    allow,
    now: deps.now,
    log: deps.log,
  });
  const scrapeId = await sql.begin(async (tx) => {
    await holdLease(tx, lease, LEASE_S);
    return await beginScrape(tx, test, cause);
  });
  const progress: ScrapeProgress = {
    seen: 0,
    kept: 0,
    ignored: counts.ignored,
    runsAdded: 0,
    resultsWritten: 0,
  };
  let error: string | null = null;
  try {
    const scraper = getScraper(test.scraper, deps.registry ?? scrapers);
    const settings = scraper.settings.parse(test.settings);
    const scraped = { name: test.name, settings };
    const source = scraper.source(scraped, allow);
    for await (const batch of scraper.scrape(scraped, test.watermark, context)) {
      limit.throwIfAborted();
      progress.seen = counts.seen;
      await storeBatch(sql, { batch, source, test, scrapeId, progress, lease });
    }
  } catch (caught) {
    error = limit.aborted && !signal.aborted
      ? `took longer than ${(deps.timeLimitMs ?? TIME_LIMIT_MS) / 1000} s`
      : reasonOf(caught).slice(0, 2000);
    deps.log("a scrape failed", { test: test.name, reason: error });
  }
  progress.seen = counts.seen;
  await sql.begin(async (tx) => {
    await holdLease(tx, lease, LEASE_S);
    await endScrape(tx, { test, scrapeId, progress, error });
  });
}

interface BatchToStore {
  batch: ScrapeBatch;
  source: string;
  test: TestToScrape;
  scrapeId: number;
  progress: ScrapeProgress;
  lease: Lease;
}

async function storeBatch(
  sql: Db,
  { batch, source, test, scrapeId, progress, lease }: BatchToStore,
): Promise<void> {
  await prepareStore(sql, batch.runs.length);
  const stored = await sql.begin(async (tx) => {
    await holdLease(tx, lease, LEASE_S);
    const stored = await storeRuns(tx, { testId: test.id, source, runs: batch.runs, mode: "replace" });
    const next = {
      ...progress,
      kept: progress.kept + stored.runs.length,
      runsAdded: progress.runsAdded + stored.runs.filter((run) => run.isNew).length,
      resultsWritten: progress.resultsWritten + stored.resultsWritten,
    };
    await moveWatermark(tx, { testId: test.id, scrapeId, watermark: batch.watermark, progress: next });
    return next;
  });
  Object.assign(progress, stored);
}
