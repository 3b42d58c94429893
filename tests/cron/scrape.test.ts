import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";
import { loadConfig } from "../../config.ts";
import { enqueueDue } from "../../cron/tasks/enqueue_due.ts";
import { type ScrapeDeps, scrapeTask } from "../../cron/tasks/scrape.ts";
import { findLease } from "../../db/leases.ts";
import { getTest, listDueTests } from "../../db/tests.ts";
import type { RunRecord } from "../../schemas/record.ts";
import { createRegistry } from "../../scrapers/mod.ts";
import { type ScrapeBatch, type ScrapedTest, Scraper } from "../../scrapers/scraper.ts";
import { HOME } from "../helpers/app.ts";
import { type TestDatabase, testDatabase } from "../helpers/postgres.ts";

let database: TestDatabase;
let deps: ScrapeDeps;

/** Yields three batches of a run each; what a test gives it happens before each batch. */
class Stepped extends Scraper {
  readonly tag = "stepped";
  readonly summary = "for tests";
  readonly settings = z.object({});
  before: (batch: number) => Promise<void> | void = () => {};

  source(test: ScrapedTest<unknown>): string {
    return `stepped:${test.name}`;
  }

  async *scrape(_test: ScrapedTest<unknown>, watermark: string | null): AsyncGenerator<ScrapeBatch> {
    for (let batch = Number(watermark ?? 0) + 1; batch <= 3; batch++) {
      await this.before(batch);
      const run: RunRecord = {
        externalId: String(batch),
        attempt: 1,
        axis: "main",
        changelist: batch,
        environment: {},
        status: "done",
        results: [{ case: "a", outcome: "passed" }],
      };
      yield { runs: [run], watermark: String(batch) };
    }
  }
}
const stepped = new Stepped();

beforeAll(async () => {
  database = await testDatabase();
  const config = loadConfig({ DATABASE_URL: database.url }, HOME);
  deps = {
    sql: database.sql,
    config,
    now: () => new Date(),
    log: () => {},
    registry: createRegistry([stepped]),
  };
});
afterAll(() => database.drop());

async function makeTest(name: string): Promise<number> {
  const [row] = await database.sql<
    { id: number }[]
  >`insert into tests (name, scraper) values (${name}, 'stepped') returning id`;
  return row!.id;
}

async function runsOf(id: number): Promise<number> {
  const [row] = await database.sql`select count(*)::int as n from runs where test_id = ${id}`;
  return row!.n;
}

const scrape = (testId: number) =>
  scrapeTask(deps, { testId, cause: "request" }, AbortSignal.timeout(10_000));

test("a scrape stores its batches, moves the watermark, leaves a record, and is due again after the interval", async () => {
  stepped.before = () => {};
  const id = await makeTest("plain");
  await scrape(id);
  expect(await runsOf(id)).toBe(3);
  const { lastScrape, nextScrapeAt, failures } = await getTest(database.sql, "plain");
  expect(lastScrape).toMatchObject({
    state: "done",
    watermarkBefore: null,
    watermarkAfter: "3",
    kept: 3,
    runsAdded: 3,
    resultsWritten: 3,
    error: null,
  });
  expect(failures).toBe(0);
  expect(Date.parse(nextScrapeAt!)).toBeGreaterThan(Date.now() + 3_500_000);
  await scrape(id);
  expect(await runsOf(id)).toBe(3);
});

test("one that fails midway keeps what it wrote, says why, waits longer each time, and goes on from there", async () => {
  const id = await makeTest("failing");
  stepped.before = (batch) => {
    if (batch === 3) throw new Error("the source is broken");
  };
  const waits: number[] = [];
  for (let tries = 0; tries < 3; tries++) {
    await scrape(id);
    waits.push(
      Math.round(
        (Date.parse((await getTest(database.sql, "failing")).nextScrapeAt!) - Date.now()) / 3_600_000,
      ),
    );
  }
  expect(waits).toEqual([1, 2, 4]);
  expect(await getTest(database.sql, "failing")).toMatchObject({
    failures: 3,
    lastScrape: { state: "failed", error: "the source is broken", watermarkAfter: "2" },
  });
  expect(await runsOf(id)).toBe(2);
  stepped.before = () => {};
  await scrape(id);
  expect(await getTest(database.sql, "failing")).toMatchObject({
    failures: 0,
    lastScrape: { state: "done", kept: 1 },
  });
});

test("a worker whose lease was taken over writes nothing more", async () => {
  const id = await makeTest("slow");
  stepped.before = async (batch) => {
    if (batch !== 2) return;
    await database
      .sql`update leases set expires_at = now() - interval '1 second' where name = ${`scrape:${id}`}`;
    await findLease(database.sql, `scrape:${id}`, "another", 60);
  };
  await expect(scrape(id)).rejects.toMatchObject({ code: "CONFLICT" });
  expect(await runsOf(id)).toBe(1);
});

test("of two scrapes of one test at once, one does nothing; what a dead worker left running is lost", async () => {
  const id = await makeTest("twice");
  await database
    .sql`insert into scrapes (test_id, state, cause, started_at) values (${id}, 'running', 'schedule', now())`;
  stepped.before = () => {};
  await Promise.all([scrape(id), scrape(id)]);
  const scrapes = await database.sql`select state from scrapes where test_id = ${id} order by id`;
  expect(scrapes.map((row) => row.state).slice(0, 2)).toEqual(["lost", "done"]);
  expect(await runsOf(id)).toBe(3);
});

test("settings that no longer fit, and a scraper that is gone, are recorded like any failure", async () => {
  const id = await makeTest("gone");
  await database.sql`update tests set scraper = 'nowhere' where id = ${id}`;
  await scrape(id);
  expect((await getTest(database.sql, "gone")).lastScrape).toMatchObject({
    state: "failed",
    error: expect.stringContaining("nowhere"),
  });
});

test("what is due is enqueued once, by each test's own interval", async () => {
  const id = await makeTest("due");
  expect(await listDueTests(database.sql, 100)).toContain(id);
  const sent: number[] = [];
  const queue = {
    send: (_name: string, data: { testId: number }) => Promise.resolve(sent.push(data.testId) > 0),
  } as never;
  await enqueueDue({ sql: database.sql, queue });
  expect(sent).toContain(id);
  stepped.before = () => {};
  await scrape(id);
  expect(await listDueTests(database.sql, 100)).not.toContain(id);
});
