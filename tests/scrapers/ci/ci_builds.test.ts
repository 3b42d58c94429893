import { expect, test } from "vitest";
import { HubError } from "../../../errors.ts";
import { scrapeBuilds } from "../../../scrapers/ci/ci_builds.ts";
import type { BuildSource, CiBuild } from "../../../scrapers/ci/build_source.ts";
import type { ScrapeBatch } from "../../../scrapers/scraper.ts";
import { allowance, scrapeContext } from "../../helpers/lab_server.ts";

const HOUR = 3_600_000;
const NOW = Date.parse("2026-03-01T00:00:00Z");
const window = { first: NOW - 700 * HOUR, overlap: 48 * HOUR, patience: 336 * HOUR, most: NOW };

function build(id: number, hoursAgo: number, more: Partial<CiBuild> = {}): CiBuild {
  return { id: String(id), version: "1", at: NOW - hoursAgo * HOUR, isOver: true, ...more };
}

/** A source of builds; reading a build in `fails` throws its error. */
function sourceOf(builds: CiBuild[], fails: Record<string, HubError> = {}) {
  const read: string[] = [];
  const source: BuildSource<CiBuild> = {
    async *list(from) {
      await Promise.resolve();
      yield builds.filter((one) => one.at >= from);
    },
    read(one) {
      read.push(one.id);
      if (fails[one.id] !== undefined) return Promise.reject(fails[one.id]);
      return Promise.resolve({
        externalId: one.id,
        attempt: 1,
        axis: "main",
        changelist: 1,
        environment: {},
        status: "done" as const,
        results: [],
      });
    },
  };
  return { source, read };
}

async function scrape(
  { source }: { source: BuildSource<CiBuild> },
  watermark: string | null,
  { take = () => true, now = () => new Date(NOW) }: {
    take?: (batch: ScrapeBatch) => boolean;
    now?: () => Date;
  } = {},
) {
  const { context } = scrapeContext(allowance({ hosts: [] }), {});
  context.now = now;
  const ids: string[] = [];
  let error: unknown;
  try {
    for await (const batch of scrapeBuilds(source, { watermark, window, context })) {
      ids.push(...batch.runs.map((run) => run.externalId));
      watermark = batch.watermark;
      if (!take(batch)) break;
    }
  } catch (caught) {
    error = caught;
  }
  return { ids, watermark, error };
}

const failing = new HubError("BAD_GATEWAY", "answered 500");
const limited = new HubError("TOO_MANY_REQUESTS", "its limit is reached", { retryAfter: 600 });

test("an unreadable build stays within the overlap until it can be read, however often it fails", async () => {
  const builds = [build(1, 100), build(2, 60), build(3, 1)];
  let { watermark, ids } = await scrape(sourceOf(builds, { 1: failing }), null);
  expect(ids).toEqual(["2", "3"]);
  for (let tries = 0; tries < 3; tries++) {
    ({ watermark } = await scrape(sourceOf(builds, { 1: failing }), watermark));
  }
  const well = sourceOf(builds);
  ({ ids, watermark } = await scrape(well, watermark));
  expect([ids, well.read]).toEqual([["1"], ["1"]]);
  expect(JSON.parse(watermark!).upTo).toBe(NOW - HOUR);
});

test("running builds are all read once they have finished, even if the scrape ends among them", async () => {
  const running = Array.from({ length: 120 }, (_, at) => build(at + 1, 300 - at, { isOver: false }));
  const newer = build(500, 2);
  const first = await scrape(sourceOf([...running, newer]), null);
  expect(first.ids).toEqual(["500"]);
  const over = [...running.map((one) => ({ ...one, isOver: true, version: "2" })), newer];
  const cut = await scrape(sourceOf(over, { 70: limited }), first.watermark);
  expect(cut.error).toBe(limited);
  expect(cut.ids.length).toBeGreaterThanOrEqual(68);
  const rest = await scrape(sourceOf(over), cut.watermark);
  expect(new Set([...cut.ids, ...rest.ids]).size).toBe(120);
  expect(rest.ids.length).toBeLessThanOrEqual(52);
});

test("runs read before a rate limit, or slowly over time, are yielded", async () => {
  const builds = Array.from({ length: 10 }, (_, at) => build(at + 1, 20 - at));
  const cut = await scrape(sourceOf(builds, { 8: limited }), null);
  expect([cut.error, cut.ids]).toEqual([limited, ["1", "2", "3", "4", "5", "6", "7"]]);
  const none = await scrape(sourceOf(builds, { 1: limited, 2: limited, 3: limited, 4: limited }), null);
  expect([none.error, none.ids, none.watermark]).toEqual([limited, [], null]);
  let ms = NOW;
  const batches: number[] = [];
  await scrape(sourceOf(builds), null, {
    now: () => new Date(ms += 20_000),
    take: (batch) => batches.push(batch.runs.length) > 0,
  });
  expect(Math.max(...batches)).toBeLessThanOrEqual(8);
  expect(batches.reduce((sum, one) => sum + one)).toBe(10);
});

test("consecutive broken builds do not block newer ones; a source that is down ends the scrape", async () => {
  const builds = Array.from({ length: 30 }, (_, at) => build(at + 1, 40 - at));
  const bad = Object.fromEntries(Array.from({ length: 8 }, (_, at) => [at + 21, failing]));
  const some = await scrape(sourceOf(builds, bad), null);
  expect([some.error, some.ids.length]).toEqual([undefined, 22]);
  const down = sourceOf(builds, Object.fromEntries(builds.map(({ id }) => [id, failing])));
  const none = await scrape(down, null);
  expect([none.error, none.watermark]).toEqual([failing, null]);
  expect(down.read.length).toBeLessThan(12);
});

test("runs without a changelist on their axis are read again and do not hold back the watermark", async () => {
  const builds = [build(1, 5), build(2, 4)];
  let watermark = "";
  await scrape(sourceOf(builds), null, {
    take: (batch) => {
      watermark = batch.without!([{ externalId: "2", attempt: 1 }]);
      return true;
    },
  });
  const again = sourceOf(builds);
  expect([(await scrape(again, watermark)).ids, again.read]).toEqual([["2"], ["2"]]);
  expect(JSON.parse(watermark).upTo).toBe(NOW - 4 * HOUR);
});

test("a build with a future time does not hide present builds", async () => {
  const ahead = build(1, -8760);
  const { watermark } = await scrape(sourceOf([ahead]), null);
  const { ids } = await scrape(sourceOf([ahead, build(2, 0)]), watermark);
  expect(ids).toEqual(["2"]);
});
