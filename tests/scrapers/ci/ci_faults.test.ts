import { afterEach, expect, test } from "vitest";
import { GitLabScraper } from "../../../scrapers/ci/gitlab.ts";
import { JenkinsScraper } from "../../../scrapers/ci/jenkins.ts";
import { CASES, scrape } from "../../helpers/ci_cases.ts";
import { NOW } from "../../helpers/ci_servers.ts";
import { gitlabWorld } from "../../helpers/git_hosts.ts";
import { replay, scrapeWith, type World } from "../../helpers/replay.ts";

const servers: { close(): Promise<void> }[] = [];
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()));
});

for (const name of Object.keys(CASES)) {
  for (const fault of ["429", "500", "cut", "broken", "slow"] as const) {
    test(`${name}: the same runs from a server that answers with ${fault} first`, async () => {
      const plain = await scrape(name);
      const faulty = await scrape(name, { fault });
      expect(faulty.error).toBeUndefined();
      expect(faulty.runs).toEqual(plain.runs);
      expect(faulty.watermark).toBe(plain.watermark);
    });
  }

  test(`${name}: what was read is not read again`, async () => {
    const first = await scrape(name);
    const again = await scrape(name, { watermark: first.watermark });
    expect([again.error, again.runs]).toEqual([undefined, []]);
    expect(JSON.parse(again.watermark!).upTo).toBe(JSON.parse(first.watermark!).upTo);
    expect(again.asked.length).toBeLessThanOrEqual(name === "lnt" ? 5 : 4);
  });
}

test("a rerun or late build is read; a running build is read once it has finished", async () => {
  const builds = (change: Record<number, object>, late = 0): World => ({ pathname }) => {
    const all = [1, 2, 3, 4, ...late ? [late] : []].map((number) => ({
      number,
      timestamp: NOW.getTime() - (10 - number) * 3_600_000,
      duration: 1,
      building: number === 2,
      result: number === 2 ? null : "SUCCESS",
      ...change[number],
    }));
    if (pathname === "/job/j/api/json") return { allBuilds: all.reverse() };
    return { suites: [{ cases: [{ className: "c", name: "a", status: "PASSED" }] }] };
  };
  const settings = { job: "j", changelist: "number", overlapHours: 5 };
  const read = async (world: World, watermark: string | null, now = NOW) => {
    const server = replay(world);
    servers.push(server);
    const found = await scrapeWith(new JenkinsScraper(), { ...settings, url: server.url }, {
      hosts: [server.host],
      watermark,
      now,
    });
    expect(found.error).toBeUndefined();
    return { ids: found.runs.map((run) => run.externalId), watermark: found.watermark };
  };
  const first = await read(builds({}), null);
  expect(first.ids).toEqual(["1", "3", "4"]);
  const over = { 2: { building: false, result: "SUCCESS", duration: 9 } };
  const second = await read(builds(over), first.watermark);
  expect(second.ids).toEqual(["2"]);
  const again = await read(builds({ ...over, 3: { duration: 77 } }, 9), second.watermark);
  expect(again.ids).toEqual(["3", "9"]);
  // Builds before the overlap are not checked.
  expect((await read(builds({ ...over, 1: { duration: 88 }, 3: { duration: 77 } }, 9), again.watermark)).ids)
    .toEqual([]);
});

test("a server that is down, repeats pages, changes its shape or requires a sign-in fails the scrape with the reason", async () => {
  const settings = (url: string) => ({ url, job: "j", changelist: "number" });
  const scrapeWorld = async (world: World) => {
    const server = replay(world);
    servers.push(server);
    const found = await scrapeWith(new JenkinsScraper(), settings(server.url), {
      hosts: [server.host],
      now: NOW,
    });
    return { ...found, message: String(found.error) };
  };
  const build = (number: number) => ({
    number,
    timestamp: NOW.getTime() - number,
    duration: 1,
    result: "SUCCESS",
  });
  const full = Array.from({ length: 100 }, (_, at) => build(at + 1));
  expect((await scrapeWorld(() => ({ allBuilds: full }))).message).toContain("the same page");
  expect((await scrapeWorld(() => ({ builds: [] }))).message).toContain("allBuilds");
  expect((await scrapeWorld(() => new Response("<html>"))).message).toContain("not JSON");
  expect((await scrapeWorld(() => undefined)).message).toContain("does not exist");
  expect((await scrapeWorld(() => new Response("", { status: 403 }))).message).toContain("`secret`");
  const half = await scrapeWorld(({ pathname }) =>
    pathname === "/job/j/api/json"
      ? { allBuilds: [build(1), build(2), build(3)] }
      : pathname.includes("/2/")
      ? new Response("", { status: 500 })
      : { suites: [{ cases: [{ name: "a", status: "PASSED" }] }] }
  );
  expect([half.error, half.runs.map((run) => run.externalId)]).toEqual([undefined, ["3", "1"]]);
  expect(half.ignored).toEqual({ "cannot be read now; the next scrape retries it": 1 });
  const down = await scrapeWorld(({ pathname }) =>
    pathname === "/job/j/api/json" ? { allBuilds: full.slice(0, 20) } : new Response("", { status: 500 })
  );
  expect([down.runs, down.watermark, down.message]).toEqual([[], null, expect.stringContaining("500")]);
});

test("gitlab: pages in another order give the same runs", async () => {
  const server = replay(gitlabWorld({ shuffled: true }));
  servers.push(server);
  const found = await scrapeWith(new GitLabScraper(), { url: server.url, project: "g/p" }, {
    hosts: [server.host],
    now: NOW,
  });
  expect(found.runs.map((run) => run.externalId)).toEqual(["50", "51", "52"]);
});
