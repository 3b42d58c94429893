import { expect, test } from "vitest";
import { addChangelists } from "../../db/changelists.ts";
import { loadConfig } from "../../config.ts";
import { createRegistry } from "../../scrapers/mod.ts";
import { JenkinsScraper } from "../../scrapers/jenkins.ts";
import { HOME } from "../helpers/app.ts";
import { replay } from "../helpers/replay.ts";
import { scrapeBench } from "../helpers/scrape_bench.ts";

const bench = scrapeBench();

test("a build whose commit its axis's list did not have yet is taken once it has it", async () => {
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
      : { suites: [{ cases: [{ name: "a", status: "PASSED" }] }] }
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
  await bench.scrape(row!.id, deps);
  expect(await bench.runsOf(row!.id)).toBe(1);
  await addChangelists(sql, "git", [[{ number: 2, label: sha(2) }]]);
  await bench.scrape(row!.id, deps);
  expect(await bench.runsOf(row!.id)).toBe(2);
  const before = server.asked.length;
  await bench.scrape(row!.id, deps);
  // What is stored is not asked for again.
  expect(server.asked.length - before).toBe(1);
  await server.close();
});
