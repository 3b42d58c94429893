import { expect, test } from "vitest";
import { addChangelists } from "../../db/axes/changelists.ts";
import { loadConfig } from "../../config/config.ts";
import { findUnresolved } from "../../db/ingest/resolve_changelists.ts";
import { listScrapes } from "../../db/tests/scrapes.ts";
import { checkSettings, createRegistry, tryScrape } from "../../scrapers/mod.ts";
import { JenkinsScraper } from "../../scrapers/ci/jenkins.ts";
import { HOME } from "../helpers/app.ts";
import { allowance, scrapeContext } from "../helpers/lab_server.ts";
import { replay } from "../helpers/replay.ts";
import { scrapeBench } from "../helpers/scrape_bench.ts";

const bench = scrapeBench();

test("a build is stored once its axis's list contains its commit", async () => {
  const { sql, url } = bench.database;
  const sha = (at: number) => String(at).repeat(40);
  const server = replay(({ pathname }) =>
    pathname === "/job/j/api/json"
      ? {
        allBuilds: [2, 1].map((number) => ({
          number,
          timestamp: Date.now() - (10 - number) * 3_600_000,
          duration: 1,
          result: "SUCCESS",
          actions: [{ lastBuiltRevision: { SHA1: sha(number) } }],
        })),
      }
      : { suites: [{ cases: [{ name: "a", status: "PASSED", duration: -1 }] }] }
  );
  await sql`insert into axes (name, labels) values ('git', 'list')`;
  await addChangelists(sql, "git", [[{ number: 1, label: sha(1) }]]);
  const settings = { url: server.url, job: "j", axis: "git" };
  const [row] = await sql<{ id: number }[]>`
    insert into tests (name, scraper, settings) values ('late', 'jenkins', ${
    sql.json(settings)
  }) returning id`;
  const deps = {
    registry: createRegistry([new JenkinsScraper()]),
    config: loadConfig({ DATABASE_URL: url, SCRAPE_HOSTS: server.host }, HOME),
  };
  const allow = allowance({ hosts: [server.host] });
  const checked = await checkSettings("jenkins", settings, allow, deps.registry);
  const dry = await tryScrape(new JenkinsScraper(), { name: "late", settings: checked }, null, {
    ...scrapeContext(allow).context,
    timeLimitMs: 60_000,
    findUnresolved: (runs) => findUnresolved(sql, runs),
  });
  await bench.scrape(row!.id, deps);
  expect(await bench.runsOf(row!.id)).toBe(1);
  const [last] = (await listScrapes(sql, row!.id, { limit: 1 })).items;
  expect(Object.keys(last!.ignored!).sort()).toEqual([
    "a result's durationMs is not a time from 0 to 1e12 ms, and was omitted",
    expect.stringContaining("a run has no changelist on its axis: the label is not in"),
  ]);
  expect([dry.runs, dry.counts.ignored]).toEqual([1, last!.ignored]);
  await addChangelists(sql, "git", [[{ number: 2, label: sha(2) }]]);
  await bench.scrape(row!.id, deps);
  expect(await bench.runsOf(row!.id)).toBe(2);
  const before = server.asked.length;
  await bench.scrape(row!.id, deps);
  // Stored builds are not requested again.
  expect(server.asked.length - before).toBe(1);
  await server.close();
});
