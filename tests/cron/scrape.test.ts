import { expect, test } from "vitest";
import { enqueueDue } from "../../cron/tasks/enqueue_due.ts";
import { acquireLease } from "../../db/core/leases.ts";
import { pushRun } from "../../db/ingest/pushes.ts";
import { spoolOf } from "../../db/ingest/spool.ts";
import { pushHead } from "../../schemas/result.ts";
import { BY } from "../helpers/author.ts";
import { storeTurns } from "../../db/ingest/store_turns.ts";
import { getTest, listDueTests } from "../../db/tests/tests.ts";
import { scrapeBench } from "../helpers/scrape_bench.ts";

const bench = scrapeBench();

test("a scrape stores its batches, moves the watermark, leaves a record, and is due again after the interval", async () => {
  const id = await bench.makeTest("plain");
  await bench.scrape(id);
  expect(await bench.runsOf(id)).toBe(3);
  const { lastScrape, nextScrapeAt, failures } = await getTest(bench.database.sql, "plain");
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
  await bench.scrape(id);
  expect(await bench.runsOf(id)).toBe(3);
});

test("a scrape that fails midway keeps what it wrote, shows the reason, waits longer each time, and continues from there", async () => {
  const id = await bench.makeTest("failing");
  bench.stepped.before = (batch) => {
    if (batch === 3) throw new Error("the source is broken");
  };
  const waits: number[] = [];
  for (let tries = 0; tries < 3; tries++) {
    await bench.scrape(id);
    waits.push(
      Math.round(
        (Date.parse((await getTest(bench.database.sql, "failing")).nextScrapeAt!) - Date.now()) / 3_600_000,
      ),
    );
  }
  expect(waits).toEqual([1, 2, 4]);
  expect(await getTest(bench.database.sql, "failing")).toMatchObject({
    failures: 3,
    lastScrape: { state: "failed", error: "the source is broken", watermarkAfter: "2" },
  });
  expect(await bench.runsOf(id)).toBe(2);
  bench.stepped.before = () => {};
  await bench.scrape(id);
  expect(await getTest(bench.database.sql, "failing")).toMatchObject({
    failures: 0,
    lastScrape: { state: "done", kept: 1 },
  });
});

test("a worker whose lease was taken over writes nothing more", async () => {
  const id = await bench.makeTest("slow");
  bench.stepped.before = async (batch) => {
    if (batch !== 2) return;
    await bench.hasRuns(id, 1);
    await bench.database
      .sql`update leases set expires_at = now() - interval '1 second' where name = ${`scrape:${id}`}`;
    await acquireLease(bench.database.sql, `scrape:${id}`, "another", 60);
  };
  await bench.scrape(id);
  expect(await bench.runsOf(id)).toBe(1);
  expect((await getTest(bench.database.sql, "slow")).failures).toBe(0);
});

test("of two concurrent scrapes of a test, one does nothing; a scrape left running by a dead worker is marked lost", async () => {
  const id = await bench.makeTest("twice");
  await bench.database
    .sql`insert into scrapes (test_id, state, cause, started_at) values (${id}, 'running', 'schedule', now())`;
  await Promise.all([bench.scrape(id), bench.scrape(id)]);
  const scrapes = await bench.database.sql`select state from scrapes where test_id = ${id} order by id`;
  expect(scrapes.map((row) => row.state).slice(0, 2)).toEqual(["lost", "done"]);
  expect(await bench.runsOf(id)).toBe(3);
});

test("invalid settings and a missing scraper are recorded like any failure", async () => {
  const id = await bench.makeTest("gone");
  await bench.database.sql`update tests set scraper = 'nowhere' where id = ${id}`;
  await bench.scrape(id);
  expect((await getTest(bench.database.sql, "gone")).lastScrape).toMatchObject({
    state: "failed",
    error: expect.stringContaining("nowhere"),
  });
});

test("due tests are enqueued once, by their own intervals", async () => {
  const id = await bench.makeTest("due");
  expect(await listDueTests(bench.database.sql, 100)).toContain(id);
  const sent: number[] = [];
  const queue = {
    sendAll: (_name: string, tasks: { data: { testId: number } }[]) => {
      sent.push(...tasks.map((task) => task.data.testId));
      return Promise.resolve(tasks.length);
    },
  } as never;
  await enqueueDue({ sql: bench.database.sql, queue });
  expect(sent).toContain(id);
  await bench.scrape(id);
  expect(await listDueTests(bench.database.sql, 100)).not.toContain(id);
});

test("labels are numbered when runs are stored; a run whose label has no number is ignored with the reason", async () => {
  const { sql } = bench.database;
  await sql`insert into axes (name, labels) values ('by-time', 'time'), ('by-list', 'list')`;
  const id = await bench.makeTest("labelled");
  bench.stepped.more = (batch) => ({
    axis: batch === 3 ? "by-list" : "by-time",
    changelist: `label:c${batch}`,
    committedAt: "2026-03-02T10:00:00Z",
  });
  await bench.scrape(id);
  const seconds = Date.parse("2026-03-02T10:00:00Z") / 1000;
  expect(await sql`select changelist from runs where test_id = ${id} order by changelist`).toEqual([
    { changelist: seconds },
    { changelist: seconds + 1 },
  ]);
  expect((await getTest(sql, "labelled")).lastScrape).toMatchObject({
    kept: 2,
    ignored: { 'a run has no changelist on its axis: the label is not in the list of the axis "by-list"': 1 },
  });
});

test("a scrape waits for its turn before it stores a large batch", async () => {
  const id = await bench.makeTest("large batches");
  const results = (count: number) =>
    Array.from({ length: count }, (_, at) => ({ case: `case ${at}`, outcome: "passed" as const }));
  const turn = Promise.withResolvers<void>();
  const turns = Array.from(
    { length: Math.max(1, navigator.hardwareConcurrency - 1) },
    () => storeTurns.run([spoolOf(results(20_001))], () => turn.promise),
  );
  const read = Promise.withResolvers<void>();
  bench.stepped.more = (batch) => ({ results: results(batch === 2 ? 20_001 : 1) });
  bench.stepped.before = (batch) => {
    if (batch === 3) read.resolve();
  };
  const scrape = bench.scrape(id);
  await read.promise;
  await bench.hasRuns(id, 1);
  // What takes no turn is stored meanwhile, and takes as long as the batch would.
  await pushRun(
    bench.database.sql,
    pushHead.parse({ test: "pushed meanwhile", changelist: 1 }),
    spoolOf(results(20_000)),
    { by: BY, idempotencyKey: undefined },
  );
  expect(await bench.runsOf(id)).toBe(1);
  turn.resolve();
  await Promise.all([...turns, scrape]);
  expect(await bench.runsOf(id)).toBe(3);
});
