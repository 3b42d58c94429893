import { expect, test, vi } from "vitest";
import { BY } from "../helpers/author.ts";
import { lockTest } from "../../db/tests/test_locks.ts";
import { acquireLease } from "../../db/core/leases.ts";
import { deleteTest, getTest, updateTest } from "../../db/tests/tests.ts";
import { listScrapes } from "../../db/tests/scrapes.ts";
import { scrapeBench } from "../helpers/scrape_bench.ts";

const bench = scrapeBench();

const scrapesOf = async (id: number) => (await listScrapes(bench.database.sql, id, { limit: 10 })).items;

test("a stop of the hub is not a failure: what was read is kept, and the rest is due at once", async () => {
  const id = await bench.makeTest("stopped");
  const stop = new AbortController();
  bench.stepped.before = (batch) => {
    if (batch === 2) stop.abort(new Error("the hub is stopping"));
  };
  await bench.scrape(id, { signal: stop.signal });
  expect(await getTest(bench.database.sql, "stopped")).toMatchObject({
    failures: 0,
    lastScrape: { state: "lost", error: expect.stringContaining("was stopped"), watermarkAfter: "1" },
  });
  const [row] = await bench.database.sql`select due_at <= now() as "isDue" from tests where id = ${id}`;
  expect(row!.isDue).toBe(true);
  bench.stepped.before = () => {};
  await bench.scrape(id);
  expect(await bench.runsOf(id)).toBe(3);
});

test("a scrape that hangs and ignores its signal ends at the time limit", async () => {
  const id = await bench.makeTest("hanging");
  // Time is up once the first batch is stored, however long that takes.
  const limit = new AbortController();
  const timeout = vi.spyOn(AbortSignal, "timeout").mockReturnValueOnce(limit.signal);
  bench.stepped.before = async (batch) => {
    if (batch !== 2) return;
    await bench.hasRuns(id, 1);
    limit.abort(new DOMException("time is up", "TimeoutError"));
    await new Promise(() => {});
  };
  try {
    await bench.scrape(id, { timeLimitMs: 50 });
    expect(timeout.mock.calls[0]).toEqual([50]);
  } finally {
    timeout.mockRestore();
  }
  expect(await getTest(bench.database.sql, "hanging")).toMatchObject({
    failures: 1,
    lastScrape: { state: "failed", error: "took longer than 0.05 s", watermarkAfter: "1" },
  });
  expect(await bench.runsOf(id)).toBe(1);
});

test("the lease is renewed while a slow source is awaited", async () => {
  const id = await bench.makeTest("slow");
  const name = `scrape:${id}`;
  bench.stepped.before = async (batch) => {
    if (batch !== 2) return;
    const expiry = async () => {
      const [row] = await bench.database.sql`select expires_at as at from leases where name = ${name}`;
      return row!.at.getTime();
    };
    const first = await expiry();
    await expect.poll(expiry, { interval: 20 }).toBeGreaterThan(first);
    expect(await acquireLease(bench.database.sql, name, "another", 60)).toBeUndefined();
  };
  await bench.scrape(id, { leaseS: 6 });
  expect(await bench.runsOf(id)).toBe(3);
});

test("a waiting worker ends when its lease is taken over", async () => {
  const id = await bench.makeTest("taken");
  bench.stepped.before = async (batch) => {
    if (batch !== 2) return;
    await bench.hasRuns(id, 1);
    await bench.database.sql`update leases set fence = fence + 1 where name = ${`scrape:${id}`}`;
    await new Promise(() => {});
  };
  await bench.scrape(id, { leaseS: 4 });
  expect(await bench.runsOf(id)).toBe(1);
});

test("if settings change during a scrape, nothing read with the old ones is written afterwards", async () => {
  const id = await bench.makeTest("changed");
  bench.stepped.before = async (batch) => {
    if (batch !== 3) return;
    await bench.hasRuns(id, 2);
    await updateTest(bench.database.sql, { name: "changed", settings: {} }, BY);
  };
  await bench.scrape(id);
  expect(await bench.runsOf(id)).toBe(2);
  expect((await scrapesOf(id))[0]).toMatchObject({
    state: "lost",
    error: expect.stringContaining("other settings"),
  });
  bench.stepped.before = () => {};
  await bench.scrape(id);
  expect((await scrapesOf(id))[0]).toMatchObject({
    state: "done",
    watermarkBefore: null,
    watermarkAfter: "3",
  });
});

test("a test deleted during a scrape gets no more runs, and its last scrape has ended", async () => {
  const id = await bench.makeTest("deleted");
  bench.stepped.before = async (batch) => {
    if (batch === 2) await deleteTest(bench.database.sql, "deleted", { results: true }, BY);
  };
  await bench.scrape(id);
  expect(await bench.runsOf(id)).toBe(0);
  expect((await scrapesOf(id))[0]).toMatchObject({ state: "lost", error: "the test was deleted" });
});

test("a test deleted during a scrape gets no new cases, and its source is stopped", async () => {
  const { sql } = bench.database;
  const id = await bench.makeTest("forgotten");
  let signal: AbortSignal | undefined;
  bench.stepped.more = (batch) => ({ results: [{ case: `case${batch}`, outcome: "passed" }] });
  bench.stepped.before = async (batch, given) => {
    signal = given;
    if (batch !== 2) return;
    await bench.hasRuns(id, 1);
    await deleteTest(sql, "forgotten", { results: true }, BY);
  };
  await bench.scrape(id);
  expect(signal!.aborted).toBe(true);
  expect(await sql`select name from cases where test_id = ${id}`).toEqual([]);
});

test("a run being stored while its test is deleted is deleted too", async () => {
  const { sql } = bench.database;
  const id = await bench.makeTest("deleted meanwhile");
  await bench.scrape(id);
  const { promise: go, resolve } = Promise.withResolvers<void>();
  const { promise: begun, resolve: isBegun } = Promise.withResolvers<void>();
  const storing = sql.begin(async (tx) => {
    await lockTest(tx, id);
    await tx`
      insert into runs (test_id, source, external_id, axis_id, changelist, environment_id, status)
      select ${id}, 'late', '1', axis_id, 9, environment_id, 'done' from runs where test_id = ${id} limit 1`;
    isBegun();
    await go;
  });
  await begun;
  const deleting = deleteTest(sql, "deleted meanwhile", { results: true }, BY);
  await expect.poll(async () => {
    const [row] = await sql`
      select count(*)::int as waiting from pg_stat_activity
      where datname = current_database() and wait_event_type = 'Lock'`;
    return row!.waiting > 0;
  }, { interval: 5 }).toBe(true);
  resolve();
  await storing;
  expect(await deleting).toEqual({ runsDeleted: 4 });
  expect(await bench.runsOf(id)).toBe(0);
});

test("a test disabled after it was enqueued is not scraped, unless requested", async () => {
  const id = await bench.makeTest("disabled");
  await updateTest(bench.database.sql, { name: "disabled", enabled: false }, BY);
  await bench.scrape(id, { cause: "schedule" });
  expect(await scrapesOf(id)).toEqual([]);
  await bench.scrape(id);
  expect(await bench.runsOf(id)).toBe(3);
});

test("a run that cannot be stored is ignored with the reason; the rest of its batch is stored", async () => {
  const id = await bench.makeTest("unfit");
  bench.stepped.more = (batch) => batch === 2 ? { changelist: -5 } : {};
  await bench.scrape(id);
  const [last] = await scrapesOf(id);
  expect(last).toMatchObject({ state: "done", kept: 2, watermarkAfter: "3" });
  expect(Object.keys(last!.ignored!)).toEqual([expect.stringContaining("invalid changelist")]);
});

test("after a failure the wait is never shorter than the interval", async () => {
  const id = await bench.makeTest("rare");
  await updateTest(bench.database.sql, { name: "rare", intervalMs: 5 * 86_400_000 }, BY);
  bench.stepped.before = () => {
    throw new Error("broken");
  };
  await bench.scrape(id);
  const { nextScrapeAt } = await getTest(bench.database.sql, "rare");
  expect(Date.parse(nextScrapeAt!) - Date.now()).toBeGreaterThan(4.9 * 86_400_000);
});

test("a change of descriptive fields neither makes a test due nor resets its failures", async () => {
  const id = await bench.makeTest("described");
  bench.stepped.before = () => {
    throw new Error("broken");
  };
  await bench.scrape(id);
  const before = await getTest(bench.database.sql, "described");
  await updateTest(bench.database.sql, { name: "described", description: "what it is for" }, BY);
  const after = await getTest(bench.database.sql, "described");
  expect(after).toMatchObject({
    description: "what it is for",
    failures: 1,
    nextScrapeAt: before.nextScrapeAt,
  });
});
