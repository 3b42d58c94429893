import { afterAll, beforeAll, beforeEach, expect } from "vitest";
import { z } from "zod";
import { loadConfig } from "../../config/config.ts";
import { type ScrapeDeps, scrapeTask } from "../../cron/tasks/scrape.ts";
import type { RunRecord } from "../../schemas/record.ts";
import { createRegistry } from "../../scrapers/mod.ts";
import type { ScrapeContext } from "../../scrapers/core/context.ts";
import { type ScrapeBatch, type ScrapedTest, Scraper } from "../../scrapers/scraper.ts";
import { HOME } from "./app.ts";
import { type TestDatabase, testDatabase } from "./postgres.ts";

/** Yields three batches of one run each; a test's callback runs before each batch. */
class Stepped extends Scraper {
  readonly tag = "stepped";
  readonly summary = "for tests";
  readonly settings = z.object({});
  before: (batch: number, signal: AbortSignal) => Promise<void> | void = () => {};
  /** Optional fields of a run. */
  more: (batch: number) => Partial<RunRecord> = () => ({});

  source(test: ScrapedTest<unknown>): string {
    return `stepped:${test.name}`;
  }

  async *scrape(
    _test: ScrapedTest<unknown>,
    watermark: string | null,
    { signal }: ScrapeContext,
  ): AsyncGenerator<ScrapeBatch> {
    for (let batch = Number(watermark ?? 0) + 1; batch <= 3; batch++) {
      await this.before(batch, signal);
      const run: RunRecord = {
        externalId: String(batch),
        attempt: 1,
        axis: "main",
        changelist: batch,
        environment: {},
        status: "done",
        results: [{ case: "a", outcome: "passed" }],
        ...this.more(batch),
      };
      yield { runs: [run], watermark: String(batch) };
    }
  }
}

/** A database, and scrapes of tests by the stepped scraper. */
export function scrapeBench() {
  const stepped = new Stepped();
  let database: TestDatabase;
  const bench = {
    stepped,
    get database() {
      return database;
    },
    deps(): ScrapeDeps {
      return {
        sql: database.sql,
        config: loadConfig({ DATABASE_URL: database.url }, HOME),
        now: () => new Date(),
        log: () => {},
        registry: createRegistry([stepped]),
      };
    },
    async makeTest(name: string): Promise<number> {
      const [row] = await database.sql<{ id: number }[]>`
        insert into tests (name, scraper) values (${name}, 'stepped') returning id`;
      return row!.id;
    },
    async runsOf(id: number): Promise<number> {
      const [row] = await database.sql`select count(*)::int as n from runs where test_id = ${id}`;
      return row!.n;
    },
    /** Waits until a test has so many runs: a scrape reads ahead while it stores. */
    async hasRuns(id: number, count: number): Promise<void> {
      await expect.poll(() => bench.runsOf(id), { interval: 5 }).toBe(count);
    },
    scrape(
      testId: number,
      { cause = "request", signal, ...more }: Partial<ScrapeDeps> & { cause?: string; signal?: AbortSignal } =
        {},
    ): Promise<void> {
      return scrapeTask(
        { ...bench.deps(), ...more },
        { testId, cause },
        signal ?? new AbortController().signal,
      );
    },
  };
  beforeAll(async () => {
    database = await testDatabase();
  });
  beforeEach(() => {
    stepped.before = () => {};
    stepped.more = () => ({});
  });
  afterAll(() => database.drop());
  return bench;
}
