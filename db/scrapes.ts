import type { Page } from "../schemas/common.ts";
import type { Scrape } from "../schemas/scrape.ts";
import type { Queryable } from "./client.ts";
import { decodeCursor, toPage } from "./cursor.ts";

/** As a row, or as JSON out of one: times are either. */
export interface ScrapeRow extends Omit<Scrape, "startedAt" | "finishedAt" | "durationMs"> {
  startedAt: Date | string;
  finishedAt: Date | string | null;
}

export function scrapeColumns(sql: Queryable) {
  return sql`
    scrapes.id, scrapes.state, scrapes.cause, scrapes.started_at as "startedAt", scrapes.finished_at as "finishedAt",
    scrapes.watermark_before as "watermarkBefore", scrapes.watermark_after as "watermarkAfter", scrapes.seen, scrapes.kept,
    scrapes.ignored, scrapes.runs_added as "runsAdded", scrapes.results_written as "resultsWritten", scrapes.error`;
}

export function toScrape({ startedAt, finishedAt, ...row }: ScrapeRow): Scrape {
  const start = new Date(startedAt);
  const end = finishedAt === null ? null : new Date(finishedAt);
  return {
    ...row,
    startedAt: start.toISOString(),
    finishedAt: end?.toISOString() ?? null,
    durationMs: end === null ? null : end.getTime() - start.getTime(),
  };
}

/** Scrapes of a test, newest first. */
export async function listScrapes(
  sql: Queryable,
  testId: number,
  { cursor, limit }: { cursor?: string | undefined; limit: number },
): Promise<Page<Scrape>> {
  const [before] = cursor === undefined ? [null] : decodeCursor(cursor, ["number"]);
  const rows = await sql<ScrapeRow[]>`
    select ${scrapeColumns(sql)} from scrapes
    where test_id = ${testId} and ${before === null ? sql`true` : sql`id < ${before}`}
    order by id desc limit ${limit + 1}`;
  return toPage(rows, limit, toScrape, (row) => [row.id]);
}

export interface TestToScrape {
  id: number;
  name: string;
  scraper: string;
  settings: unknown;
  watermark: string | null;
  intervalS: number;
  failures: number;
}

export async function findTestToScrape(sql: Queryable, id: number): Promise<TestToScrape | undefined> {
  const [row] = await sql<TestToScrape[]>`
    select id, name, scraper, settings, watermark, interval_s as "intervalS", failures
    from tests where id = ${id} and deleted_at is null`;
  return row;
}

/** Begins the record of a scrape; what a dead worker left `running` is lost. Call it under the lease. */
export async function beginScrape(sql: Queryable, test: TestToScrape, cause: string): Promise<number> {
  await sql`
    update scrapes set state = 'lost', finished_at = now(), error = 'the worker was lost'
    where test_id = ${test.id} and state = 'running'`;
  const [row] = await sql<{ id: number }[]>`
    insert into scrapes (test_id, state, cause, started_at, watermark_before, watermark_after)
    values (${test.id}, 'running', ${cause}, clock_timestamp(), ${test.watermark}, ${test.watermark})
    returning id`;
  return row!.id;
}

export interface ScrapeProgress {
  seen: number;
  kept: number;
  ignored: Record<string, number>;
  runsAdded: number;
  resultsWritten: number;
}

/** Moves the watermark and the scrape's counts, in the transaction of the batch they belong to. */
export async function moveWatermark(
  tx: Queryable,
  { testId, scrapeId, watermark, progress }: {
    testId: number;
    scrapeId: number;
    watermark: string;
    progress: ScrapeProgress;
  },
): Promise<void> {
  await tx`update tests set watermark = ${watermark} where id = ${testId}`;
  await writeProgress(tx, scrapeId, progress);
  await tx`update scrapes set watermark_after = ${watermark} where id = ${scrapeId}`;
}

async function writeProgress(sql: Queryable, scrapeId: number, progress: ScrapeProgress): Promise<void> {
  await sql`
    update scrapes set seen = ${progress.seen}, kept = ${progress.kept},
      ignored = ${JSON.stringify(progress.ignored)}::text::jsonb, runs_added = ${progress.runsAdded},
      results_written = ${progress.resultsWritten}
    where id = ${scrapeId}`;
}

const LONGEST_WAIT_S = 86_400;

/** Ends a scrape and says when the next one is due: after the interval, or after a failure twice as long each time. */
export async function endScrape(
  sql: Queryable,
  { test, scrapeId, progress, error }: {
    test: TestToScrape;
    scrapeId: number;
    progress: ScrapeProgress;
    error: string | null;
  },
): Promise<void> {
  const wait = error === null
    ? test.intervalS
    : Math.min(LONGEST_WAIT_S, Math.max(60, test.intervalS) * 2 ** Math.min(test.failures, 12));
  await writeProgress(sql, scrapeId, progress);
  await sql`
    update scrapes set state = ${
    error === null ? "done" : "failed"
  }, finished_at = clock_timestamp(), error = ${error}
    where id = ${scrapeId}`;
  await sql`
    update tests set due_at = now() + make_interval(secs => ${wait}), failures = ${
    error === null ? 0 : test.failures + 1
  }
    where id = ${test.id}`;
}

export interface ScraperHealth {
  scraper: string;
  tests: number;
  enabled: number;
  due: number;
  failing: { test: string; failures: number; error: string | null }[];
  lastSuccessAt: string | null;
  averageMs: number | null;
}

/** How each scraper's tests fare. */
export async function listScraperHealth(sql: Queryable): Promise<ScraperHealth[]> {
  const rows = await sql<(Omit<ScraperHealth, "lastSuccessAt"> & { lastSuccessAt: Date | null })[]>`
    select tests.scraper, count(*)::int as tests, count(*) filter (where enabled)::int as enabled,
      count(*) filter (where enabled and due_at <= now() and scraper <> 'push')::int as due,
      (
        select max(scrapes.finished_at) from scrapes join tests as own on own.id = scrapes.test_id
        where own.scraper = tests.scraper and scrapes.state = 'done'
      ) as "lastSuccessAt",
      (
        select round(avg(extract(epoch from scrapes.finished_at - scrapes.started_at)) * 1000)::int
        from scrapes join tests as own on own.id = scrapes.test_id
        where own.scraper = tests.scraper and scrapes.started_at > now() - interval '1 day' and scrapes.finished_at is not null
      ) as "averageMs",
      coalesce((
        select jsonb_agg(jsonb_build_object('test', worst.name, 'failures', worst.failures, 'error', worst.error))
        from (
          select own.name, own.failures, (
            select error from scrapes where test_id = own.id order by id desc limit 1
          ) as error
          from tests as own
          where own.scraper = tests.scraper and own.failures > 0 and own.deleted_at is null
          order by own.failures desc, own.name limit 20
        ) as worst
      ), '[]') as failing
    from tests where deleted_at is null
    group by tests.scraper`;
  return rows.map((row) => ({ ...row, lastSuccessAt: row.lastSuccessAt?.toISOString() ?? null }));
}
