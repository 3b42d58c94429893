import { expect, test } from "vitest";
import { listScrapes } from "../../db/tests/scrapes.ts";
import { tryScrape } from "../../scrapers/mod.ts";
import { allowance, scrapeContext } from "../helpers/lab_server.ts";
import { scrapeBench } from "../helpers/scrape_bench.ts";

const bench = scrapeBench();

const scrapesOf = async (id: number) => (await listScrapes(bench.database.sql, id, { limit: 10 })).items;

/** Runs and results that a source may report, each with what is stored of it. */
const ODD: Record<
  string,
  { run?: object; results?: unknown[]; stored: unknown[] | undefined; reason: string }
> = {
  "an empty case": {
    results: [{ case: "", outcome: "failed" }, { case: "b", outcome: "passed" }],
    stored: [["b", null, null]],
    reason: "a result is invalid: case",
  },
  "a blank case": {
    results: [{ case: " ", outcome: "failed" }, { case: "b", outcome: "passed" }],
    stored: [["b", null, null]],
    reason: "a result is invalid: case: must not be blank",
  },
  "a long case": {
    results: [{ case: "n".repeat(5000), outcome: "failed" }],
    stored: [["n".repeat(1000), null, null]],
    reason: "a result's case has more than 1000 characters, and was cut",
  },
  "a NUL in a name": {
    results: [{ case: "a\0b", outcome: "failed" }],
    stored: [["a\uFFFDb", null, null]],
    reason: "a result's case contains a NUL or a lone surrogate, which was replaced",
  },
  "a long message": {
    results: [{ case: "a", outcome: "failed", message: "m".repeat(9000) }],
    stored: [["a", null, "m".repeat(4000)]],
    reason: "a result's message has more than 4000 characters, and was cut",
  },
  "a negative duration": {
    results: [{ case: "a", outcome: "failed", durationMs: -1 }],
    stored: [["a", null, null]],
    reason: "a result's durationMs is not a time from 0 to 1e12 ms, and was omitted",
  },
  "a duration that is no number": {
    results: [{ case: "a", outcome: "failed", durationMs: NaN }],
    stored: [["a", null, null]],
    reason: "a result's durationMs is not a time from 0 to 1e12 ms, and was omitted",
  },
  "an unknown outcome": {
    results: [{ case: "a", outcome: "great" }, { case: "b", outcome: "passed" }],
    stored: [["b", null, null]],
    reason: "a result is invalid: outcome",
  },
  "nothing but bad results": {
    results: [{ case: "", outcome: "failed" }, { case: "a", outcome: "great" }],
    stored: undefined,
    reason: "a result is invalid: case",
  },
  "no record": { results: [null], stored: undefined, reason: "a result is invalid: is not an object" },
  "a sample that is no number": {
    results: [{ case: "a", outcome: "passed", samples: [{ metric: "m", value: Infinity }] }],
    stored: [["a", null, null]],
    reason: "a result's samples has values that cannot be stored, which were omitted",
  },
  "no list of results": {
    run: { results: "none" },
    stored: undefined,
    reason: "a run has no list of results",
  },
  "a bad date": {
    run: { startedAt: "2026-13-45", finishedAt: "yesterday" },
    stored: [["a", null, null]],
    reason: "a run's startedAt is not a time from 1970 to 9999, and was omitted",
  },
  "a date out of range": {
    run: { startedAt: "9999-12-31T23:59:59-12:00" },
    stored: [["a", null, null]],
    reason: "a run's startedAt is not a time from 1970 to 9999, and was omitted",
  },
  "a bad URL": {
    run: { url: "javascript:alert(1)" },
    stored: [["a", null, null]],
    reason: "a run's url is not an http, https or file URL, and was omitted",
  },
  "a bad environment key": {
    run: { environment: { ["k".repeat(65)]: "v" } },
    stored: undefined,
    reason: "a run has an invalid environment",
  },
  "too large an environment": {
    run: { environment: Object.fromEntries(Array.from({ length: 33 }, (_, at) => [`k${at}`, "v"])) },
    stored: undefined,
    reason: "a run has an invalid environment: has more than 32 keys",
  },
  "an empty id": { run: { externalId: "" }, stored: undefined, reason: "a run has an invalid externalId" },
  "a NUL in an id": {
    run: { externalId: "x\0" },
    stored: undefined,
    reason: "a run has an invalid externalId",
  },
  "a NUL in a reason": {
    run: { status: "lab_error", reason: "gone\0" },
    stored: [["a", null, null]],
    reason: "a run's reason was cut, or characters in it replaced",
  },
  "a NUL in a package": {
    run: { package: "p\0" },
    stored: undefined,
    reason: "a run has an invalid package",
  },
  "a metric named too often": {
    run: {
      results: Array.from({ length: 33 }, () => ({
        case: "a",
        outcome: "passed",
        samples: Array.from({ length: 1000 }, () => ({ metric: "m", value: 1 })),
      })),
    },
    stored: undefined,
    reason: "a run names one metric of a case more than 32767 times",
  },
};

test.each(Object.entries(ODD))(
  "only %s is left out, and it is counted in `ignored`",
  async (what, odd) => {
    const { sql } = bench.database;
    const id = await bench.makeTest(what);
    bench.stepped.more = (batch) =>
      batch === 2
        ? { ...odd.results === undefined ? {} : { results: odd.results }, ...odd.run } as never
        : {};
    const dry = await tryScrape(bench.stepped, { name: what, settings: {} }, null, {
      ...scrapeContext(allowance()).context,
      timeLimitMs: 60_000,
    });
    await bench.scrape(id);
    const [last] = await scrapesOf(id);
    const kept = odd.stored === undefined ? 2 : 3;
    expect(last).toMatchObject({ state: "done", error: null, kept, watermarkAfter: "3" });
    expect(Object.keys(last!.ignored!)).toEqual(
      expect.arrayContaining([expect.stringContaining(odd.reason)]),
    );
    const told = (odd.run as { externalId?: string } | undefined)?.externalId ?? "2";
    expect(last!.samples![0]).toEqual({
      place: expect.stringContaining(`run ${told.replace("\0", "\uFFFD")}`),
      reason: expect.stringContaining(odd.reason),
    });
    expect([dry.runs, dry.counts.ignored, dry.counts.samples]).toEqual([kept, last!.ignored, last!.samples]);
    const rows = await sql`
    select cases.name, results.duration_ms, results.message from runs
      join results on results.run_id = runs.id join cases on cases.id = results.case_id
    where runs.test_id = ${id} and runs.changelist = 2`;
    expect(rows.map((row) => [row.name, row.duration_ms, row.message])).toEqual(odd.stored ?? []);
  },
);

test("examples of ignored records name run and case; only a test's last scrape keeps them", async () => {
  const id = await bench.makeTest("sampled");
  bench.stepped.more = () => ({ results: [{ case: "slow\u0001", outcome: "passed", durationMs: -5 }] });
  await bench.scrape(id);
  const reason = "a result's durationMs is not a time from 0 to 1e12 ms, and was omitted";
  const [first] = await scrapesOf(id);
  expect(first!.ignored).toEqual({ [reason]: 3 });
  expect(first!.samples![0]).toEqual({ place: "run 1 case slow\u0001", reason });
  await bench.scrape(id);
  expect((await scrapesOf(id)).map((one) => one.samples)).toEqual([[], null]);
});

test("an invalid watermark fails the scrape with a message about the source, not with Postgres's error", async () => {
  const id = await bench.makeTest("nul watermark");
  const scrape = bench.stepped.scrape;
  bench.stepped.scrape = async function* () {
    yield { runs: [], watermark: "a\0" };
  };
  try {
    await bench.scrape(id);
  } finally {
    bench.stepped.scrape = scrape;
  }
  expect((await scrapesOf(id))[0]!.error).toContain("watermark contains a NUL");
});

test("a source's messages with a NUL or a lone surrogate are recorded", async () => {
  const id = await bench.makeTest("nul error");
  bench.stepped.before = () => {
    throw new Error("it said \0 and \ud800");
  };
  await bench.scrape(id);
  expect((await scrapesOf(id))[0]).toMatchObject({ state: "failed", error: "it said \uFFFD and \uFFFD" });
});
