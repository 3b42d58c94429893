import { afterEach, beforeEach, expect, test } from "vitest";
import type { RunRecord } from "../../schemas/record.ts";
import type { ReadPolicy } from "../../scrapers/http/read_policy.ts";
import { checkedBatches } from "../../scrapers/core/validate_batches.ts";
import type { Scraper } from "../../scrapers/scraper.ts";
import { FilesScraper } from "../../scrapers/files.ts";
import { checkSettings } from "../../scrapers/mod.ts";
import { allowance, scrapeContext, serve } from "../helpers/lab_server.ts";

const JUNIT = `<testsuite name="s" timestamp="2024-05-01T00:00:00Z"><testcase name="a"/></testsuite>`;
const PATTERN = "^(?<machine>[^/]+)/(?<changelist>\\d+)/[^/]+\\.xml$";
let root: string;
beforeEach(async () => {
  root = await Deno.realPath(await Deno.makeTempDir());
});
afterEach(async () => {
  await Deno.remove(root, { recursive: true });
});

/** Later than every ctime, so that mtime is the later of the two. */
const AHEAD = Math.ceil(Date.now() / 1000) + 10_000;

/** `at`: seconds of the modification time, relative to other files. */
async function write(path: string, text: string, at?: number): Promise<void> {
  await Deno.mkdir(`${root}/${path}`.replace(/\/[^/]*$/, ""), { recursive: true });
  await Deno.writeTextFile(`${root}/${path}`, text);
  if (at !== undefined) await Deno.utime(`${root}/${path}`, AHEAD + at, AHEAD + at);
}

async function scrape(url: string, allow: ReadPolicy, watermark: string | null = null, more = {}) {
  const settings = await checkSettings("files", { url, pattern: PATTERN, ...more }, allow);
  const { context, counts } = scrapeContext(allow);
  const runs: RunRecord[] = [];
  const test = { name: "t", settings };
  for await (const batch of checkedBatches(new FilesScraper() as Scraper, test, watermark, context)) {
    runs.push(...batch.runs);
    watermark = batch.watermark;
  }
  return { runs, counts, watermark };
}

test("a folder gives one run per file, oldest first, and only newer files the next time", async () => {
  await write("m1/1005/r.xml", JUNIT, 2000);
  await write("m2/1000/r.xml", JUNIT, 1000);
  await write("m2/readme", "x", 1000);
  const allow = allowance({ roots: [root] });
  const first = await scrape(`file://${root}`, allow, null, { package: "p", environment: { os: "linux" } });
  expect(first.runs).toMatchObject([
    {
      externalId: "m2/1000/r.xml",
      changelist: 1000,
      environment: { os: "linux", machine: "m2" },
      package: "p",
    },
    { externalId: "m1/1005/r.xml", changelist: 1005, startedAt: "2024-05-01T00:00:00.000Z" },
  ]);
  expect(first.runs[0]!.results).toEqual([{ case: "s.a", outcome: "passed" }]);
  expect(first.counts).toMatchObject({ seen: 3, ignored: { "does not match the pattern": 1 } });
  await write("m3/1010/r.xml", JUNIT, 3000);
  const second = await scrape(`file://${root}`, allow, first.watermark);
  expect(second.runs.map((run) => run.changelist)).toEqual([1005, 1010]);
});

test("bad files and odd names do not affect the others", async () => {
  await write("m1/1/ok.xml", JUNIT, 1000);
  await write("m1/1/half.xml", JUNIT.slice(0, 50), 1000);
  await write("m1/1/empty.xml", "", 1000);
  await write("m1/0/zero.xml", JUNIT, 1000);
  await write("m1/99999999999/huge.xml", JUNIT, 1000);
  await write(` m1 /1/space.xml`, JUNIT, 1000);
  await write(`m\u0001/1/control.xml`, JUNIT, 1000);
  await write(`a/b/c/d/e/deep.xml`, JUNIT, 1000);
  await Deno.symlink("/etc", `${root}/etc`);
  await Deno.symlink(root, `${root}/m1/loop`);
  await new Deno.Command("sh", {
    args: ["-c", `cd "$1" && : > "$(printf 'bad\\377.xml')"`, "sh", root],
  }).output();
  const { runs, counts } = await scrape(`file://${root}`, allowance({ roots: [root] }));
  expect(runs.map((run) => [run.externalId, run.environment.machine])).toEqual([
    [" m1 /1/space.xml", "m1"],
    ["m\u0001/1/control.xml", "m"],
    ["m1/1/ok.xml", "m1"],
  ]);
  expect(counts.ignored).toMatchObject({
    "a run's environment has a value that was cut, or characters in it replaced": 1,
    "is a link": 2,
    "cannot be read": 2,
    "has no changelist in its path": 2,
  });
  expect(counts.ignored["has disappeared, or its name is not UTF-8"]).toBe(1);
});

test("many files of an unknown format leave no file open", async () => {
  for (let at = 0; at < 50; at++) await write(`m1/${at + 1}/r.xml`, "not xml at all", 1000);
  const open = () => [...Deno.readDirSync("/proc/self/fd")].length;
  const before = open();
  const { counts } = await scrape(`file://${root}`, allowance({ roots: [root] }));
  expect(counts.ignored["cannot be read"]).toBe(50);
  expect(open()).toBeLessThan(before + 10);
});

test("an HTTP index is walked within its root", async () => {
  const asked: string[] = [];
  const index = (...links: string[]) =>
    new Response(
      `<html><body><pre>${links.map((link) => `<a href="${link}">x</a>`).join("\n")}</pre></body></html>`,
    );
  const server = serve((_, { pathname }) => {
    asked.push(pathname);
    if (pathname === "/r/") {
      return index("../", "m%201/", "%2e%2e%2fsecret/", "/r/", "http://evil.test/r/x/", "?C=N");
    }
    if (pathname === "/r/m%201/") return index("../", "1000/");
    if (pathname === "/r/m%201/1000/") return index("a.xml", "b%2f..%2f..%2fc.xml", "gone.xml");
    return pathname.endsWith("a.xml") ? new Response(JUNIT) : new Response("", { status: 404 });
  });
  try {
    const { runs, counts } = await scrape(`${server.url}/r`, allowance({ hosts: [server.host] }));
    expect(runs).toMatchObject([{
      externalId: "m 1/1000/a.xml",
      environment: { machine: "m 1" },
      url: `${server.url}/r/m%201/1000/a.xml`,
    }]);
    expect(asked.every((path) => path.startsWith("/r/"))).toBe(true);
    expect(counts.ignored["cannot be read"]).toBe(1);
  } finally {
    await server.close();
  }
});

test("a temporarily unreadable file holds back the watermark and is retried; a broken one does not", async () => {
  const states: Record<string, number> = { "/r/m/2/x.xml": 500, "/r/m/3/x.xml": 403 };
  const line = (link: string, time: string) => `<a href="${link}">x</a>  ${time}  10\n`;
  const server = serve((_, { pathname }) => {
    const page = (...lines: string[]) => new Response(`<html><pre>${lines.join("")}</pre></html>`);
    if (pathname === "/r/") return page(line("m/", "01-May-2024 10:00"));
    if (pathname === "/r/m/") return page(...[1, 2, 3, 4].map((at) => line(`${at}/`, "01-May-2024 10:00")));
    if (pathname.endsWith("/")) return page(line("x.xml", `0${pathname.at(-2)}-May-2024 10:00`));
    return new Response(JUNIT, { status: states[pathname] ?? 200 });
  });
  try {
    const allow = allowance({ hosts: [server.host] });
    const first = await scrape(`${server.url}/r`, allow, null, { trustTimes: true });
    expect(first.runs.map((run) => run.changelist)).toEqual([1, 4]);
    expect(first.counts.ignored).toMatchObject({
      "cannot be read now; the next scrape retries it": 1,
      "cannot be read": 1,
    });
    expect(Number(first.watermark)).toBe(Date.parse("2024-05-02T10:00Z"));
    delete states["/r/m/2/x.xml"];
    const second = await scrape(`${server.url}/r`, allow, first.watermark, { trustTimes: true });
    expect(second.runs.map((run) => run.changelist)).toEqual([2, 4]);
    const third = await scrape(`${server.url}/r`, allow, second.watermark, { trustTimes: true });
    expect(third.runs.map((run) => run.changelist)).toEqual([4]);
    const untrusted = await scrape(`${server.url}/r`, allow, second.watermark);
    expect(untrusted.runs.map((run) => run.changelist)).toEqual([1, 2, 4]);
  } finally {
    await server.close();
  }
});

test("a file moved in with an old time is found", async () => {
  await write("m1/1/a.xml", JUNIT);
  const allow = allowance({ roots: [root] });
  const { watermark } = await scrape(`file://${root}`, allow);
  await Deno.mkdir(`${root}/m2/2`, { recursive: true });
  const elsewhere = await Deno.makeTempFile();
  await Deno.writeTextFile(elsewhere, JUNIT);
  await Deno.utime(elsewhere, 10, 10);
  await Deno.rename(elsewhere, `${root}/m2/2/b.xml`);
  expect((await scrape(`file://${root}`, allow, watermark)).runs.map((run) => run.changelist)).toContain(2);
});

test("an index that fails is an error of the scrape", async () => {
  const server = serve((_, { pathname }) =>
    pathname === "/500/" ? new Response("", { status: 500 }) : new Response("{}")
  );
  try {
    const allow = allowance({ hosts: [server.host] });
    await expect(scrape(`${server.url}/500`, allow)).rejects.toMatchObject({ code: "BAD_GATEWAY" });
    await expect(scrape(`${server.url}/json`, allow)).rejects.toThrow("is not a directory index");
  } finally {
    await server.close();
  }
});

test("a root that is no longer allowed is refused when the scrape runs", async () => {
  await Deno.mkdir(`${root}/in`);
  const allow = allowance({ roots: [`${root}/in`] });
  const { context } = scrapeContext(allow);
  await Deno.remove(`${root}/in`);
  await Deno.symlink("/etc", `${root}/in`);
  const settings = await checkSettings(
    "files",
    { url: `file://${root}/in`, pattern: PATTERN },
    allowance({ roots: ["/"] }),
  );
  const inside = allowance({ roots: [`${root}/other`] });
  const scraper = new FilesScraper();
  await expect(
    scraper.scrape({ name: "t", settings: settings as never }, null, { ...context, allow: inside }).next(),
  )
    .rejects.toThrow("SCRAPE_ROOTS");
});
