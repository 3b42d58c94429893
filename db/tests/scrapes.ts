import type { Page } from "../../schemas/common.ts";
import type { Scrape } from "../../schemas/scrape.ts";
import { Conditions } from "../core/conditions.ts";
import type { Queryable } from "../core/queryable.ts";
import { revokeLease } from "../core/leases.ts";
import { decodeCursor, toPage } from "../core/cursor.ts";

/** A row, or JSON made from a row: times may have either type. */
export interface ScrapeRow extends Omit<Scrape, "startedAt" | "finishedAt" | "durationMs"> {
  startedAt: Date | string;
  finishedAt: Date | string | null;
}

export function scrapeColumns(sql: Queryable) {
  return sql`
    scrapes.id, scrapes.state, scrapes.cause, scrapes.started_at as "startedAt", scrapes.finished_at as "finishedAt",
    scrapes.watermark_before as "watermarkBefore", scrapes.watermark_after as "watermarkAfter", scrapes.seen, scrapes.kept,
    scrapes.ignored, scrapes.ignored_samples as samples, scrapes.runs_added as "runsAdded", scrapes.results_written as "resultsWritten", scrapes.error`;
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

/** Lists a test's scrapes, newest first. */
export async function listScrapes(
  sql: Queryable,
  testId: number,
  { cursor, limit }: { cursor?: string | undefined; limit: number },
): Promise<Page<Scrape>> {
  const [before] = cursor === undefined ? [null] : decodeCursor(cursor, ["number"]);
  const rows = await sql<ScrapeRow[]>`
    select ${scrapeColumns(sql)} from scrapes
    where test_id = ${testId} and ${new Conditions(sql).below("id", before).all}
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

/** Returns the test's scrape settings, or undefined if it is deleted, or disabled and `disabled` is false. */
export async function findTestToScrape(
  sql: Queryable,
  id: number,
  { disabled }: { disabled: boolean },
): Promise<TestToScrape | undefined> {
  const [row] = await sql<TestToScrape[]>`
    select id, name, scraper, settings, watermark, interval_s as "intervalS", failures
    from tests where id = ${id} and deleted_at is null and (enabled or ${disabled})`;
  return row;
}

/** Name of the lease under which a test is scraped. */
export function scrapeLeaseName(testId: number): string {
  return `scrape:${testId}`;
}

/**
 * Ends a running scrape of the test, so that nothing it has read can be written any more. Call it first in the
 * transaction that changes or deletes the test.
 */
export async function revokeScrape(tx: Queryable, testId: number, reason: string): Promise<void> {
  await revokeLease(tx, scrapeLeaseName(testId));
  await tx`
    update scrapes set state = 'lost', finished_at = clock_timestamp(), error = ${reason}
    where test_id = ${testId} and state = 'running'`;
}

/**
 * Starts the record of a scrape, and marks the one that a dead worker left `running` as lost. Only the last record keeps
 * its samples. Call it under the lease.
 */
export async function beginScrape(sql: Queryable, test: TestToScrape, cause: string): Promise<number> {
  await sql`
    update scrapes set state = 'lost', finished_at = now(), error = 'the worker was lost'
    where test_id = ${test.id} and state = 'running'`;
  await sql`update scrapes set ignored_samples = null where test_id = ${test.id} and ignored_samples is not null`;
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
  /** Examples of ignored places, with the reasons. */
  samples: { place: string; reason: string }[];
  runsAdded: number;
  resultsWritten: number;
}

/** Updates the watermark and the scrape's counts, in the transaction of their batch. */
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
      ignored = ${JSON.stringify(progress.ignored)}::text::jsonb,
      ignored_samples = ${JSON.stringify(progress.samples)}::text::jsonb, runs_added = ${progress.runsAdded},
      results_written = ${progress.resultsWritten}
    where id = ${scrapeId}`;
}

const LONGEST_WAIT_S = 86_400;

/** How a scrape ended. `handed back`: the hub stopped, so the test is due at once and it counts as no failure. */
export type ScrapeEnd =
  | { state: "done" }
  /** `againS`: seconds until the source may be queried again, if the source stated them. */
  | { state: "failed"; error: string; againS?: number }
  | { state: "handed back" };

/**
 * Ends a scrape and sets when the next one is due: after the interval, or after a wait that doubles with each failure.
 */
export async function endScrape(
  sql: Queryable,
  { test, scrapeId, progress, end }: {
    test: TestToScrape;
    scrapeId: number;
    progress: ScrapeProgress;
    end: ScrapeEnd;
  },
): Promise<void> {
  await writeProgress(sql, scrapeId, progress);
  const isBack = end.state === "handed back";
  const error = isBack
    ? "the hub was stopped; the scrape continues at its next start"
    : end.state === "failed"
    ? end.error
    : null;
  await sql`
    update scrapes set state = ${
    isBack ? "lost" : end.state
  }, finished_at = clock_timestamp(), error = ${error}
    where id = ${scrapeId}`;
  if (isBack) {
    await sql`update tests set due_at = now() where id = ${test.id}`;
    return;
  }
  const failures = end.state === "failed" ? test.failures + 1 : 0;
  const longer = Math.max(60, test.intervalS) * 2 ** Math.min(Math.max(0, failures - 1), 12);
  const asked = end.state === "failed" ? end.againS : undefined;
  const wait = asked === undefined
    ? Math.max(test.intervalS, Math.min(LONGEST_WAIT_S, longer))
    : Math.max(60, Math.min(LONGEST_WAIT_S, asked));
  await sql`
    update tests set due_at = now() + make_interval(secs => ${wait}), failures = ${failures} where id = ${test.id}`;
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

/** Reports the state of each scraper's tests. */
export async function listScraperHealth(sql: Queryable): Promise<ScraperHealth[]> {
  const rows = await sql<(Omit<ScraperHealth, "lastSuccessAt"> & { lastSuccessAt: Date | null })[]>`
    select tests.scraper, count(*)::int as tests, count(*) filter (where tests.enabled)::int as enabled,
      count(*) filter (where tests.enabled and tests.due_at <= now() and tests.scraper <> 'push')::int as due,
      max(success.finished_at) as "lastSuccessAt",
      round(sum(day.total_ms) / nullif(sum(day.count), 0))::int as "averageMs",
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
    from tests
      left join lateral (
        select finished_at from scrapes where test_id = tests.id and state = 'done' order by id desc limit 1
      ) as success on true
      left join lateral (
        select count(*) as count, sum(extract(epoch from finished_at - started_at)) * 1000 as total_ms
        from scrapes
        where test_id = tests.id and started_at > now() - interval '1 day' and finished_at is not null
      ) as day on true
    where tests.deleted_at is null
    group by tests.scraper`;
  return rows.map((row) => ({ ...row, lastSuccessAt: row.lastSuccessAt?.toISOString() ?? null }));
}

/** Deletes scrapes that started before `before`, except each test's last. Returns how many. */
export async function pruneScrapes(sql: Queryable, before: Date): Promise<number> {
  const pruned = await sql`
    delete from scrapes
    where started_at < ${before} and exists (
      select from scrapes as later where later.test_id = scrapes.test_id and later.id > scrapes.id
    )`;
  return pruned.count;
}
