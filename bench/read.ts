import { openDatabase } from "../db/core/client.ts";
import { listChangelists } from "../db/drop/build_list.ts";
import { listResults } from "../db/results/result_list.ts";
import { changelistList } from "../schemas/build.ts";
import { resultList } from "../schemas/result.ts";
import { type BenchDatabase, median, show, time, withDatabase } from "./database.ts";
import { type BenchHub, startHub } from "./hub.ts";
import { pgbench, wrk } from "./load.ts";
import { findPeer, type Old, serveOld } from "./peer.ts";
import { BUILDS, PACKAGES, seedBuilds, seedResults, TESTS } from "./seed.ts";

const LOAD = { connections: 16, seconds: Number(Deno.env.get("CHUB_BENCH_SECONDS") ?? "4") };
const ROUNDS = 3;
/** Runs per test: first for a million results in total, then for twenty million. */
const FEW = 100;
const MANY = 2000;
const PAGE = 100;
/** Number of the deep page, from 1. */
const DEEP_PAGE = 10_000;
const ASKED = 200;

/**
 * Measures pages of 100 builds and results: read from the database, compared with pgbench and the same SQL; as 304
 * answers; as cached pages, compared with the previous app; deep pages; and with 20 times the rows.
 */
export async function run(): Promise<void> {
  await withDatabase(async (bench) => {
    const peer = findPeer();
    await seedBuilds(bench.sql);
    await seedResults(bench.sql, FEW);
    // One hub without a page cache, and one with default settings.
    const reading = await startHub(bench, { HELD_PAGES: "0", DATA_DIR: `${bench.folder}/reading` });
    const holding = await startHub(bench);
    // The hub sets its roots from DROP_URLS, and would scan them.
    await bench.sql`update roots set configured = true`;
    const old = peer === undefined ? undefined : await serveOld(bench, peer);
    try {
      await pages(bench, { reading, holding, old });
      await old?.stop();
      await depth(bench, reading);
    } finally {
      await old?.stop();
      await Promise.all([reading.stop(), holding.stop()]);
    }
  });
}

interface Page {
  name: string;
  /** Lua expression of a path with random keys. */
  rest: string;
  trpc: string;
  old: string;
  /** Paths requested repeatedly, as 304 answers and as cached pages. */
  paths: string[];
  /** The hub's statement, for pgbench. */
  sql: string;
}

const LUA_PACKAGE = `string.format("pkg-%04d", math.random(1, ${PACKAGES}))`;
const LUA_FROM = `100000 + math.random(0, ${BUILDS - PAGE}) * 7`;
const LUA_TEST = `string.format("test-%02d", math.random(1, ${TESTS}))`;
const LUA_TO = `100000 + math.random(10, ${FEW}) * 7`;
/** `%22` stands for a quote, because the paths are format strings. */
const trpcInput = (json: string) =>
  json.replaceAll('"', "%%22").replaceAll("{", "%%7B").replaceAll("}", "%%7D");

async function pagesOf({ url }: BenchDatabase): Promise<Page[]> {
  const statements: { text: string; values: unknown[] }[] = [];
  const sql = openDatabase(url, { max: 1, onStatement: (text, values) => statements.push({ text, values }) });
  const sent = async (ask: () => Promise<unknown>) => {
    statements.length = 0;
    await ask();
    return statements.at(-1)!;
  };
  const ofBuilds = await sent(() =>
    listChangelists(sql, changelistList.parse({ name: "pkg-0001", limit: PAGE, order: "asc", from: 100_007 }))
  );
  const ofResults = await sent(() =>
    listResults(sql, resultList.parse({ test: "test-01", limit: PAGE, to: 100_700 }))
  );
  await sql.end();
  const numbers = Array.from({ length: 40 }, (_, at) => at);
  return [
    {
      name: "builds",
      rest:
        `string.format("/api/dvs/packages/%s/changelists?limit=${PAGE}&order=asc&from=%d", ${LUA_PACKAGE}, ${LUA_FROM})`,
      trpc: `string.format("/api/trpc/dvs.changelists?input=${
        trpcInput(`{"name":"%s","limit":${PAGE},"order":"asc","from":%d}`)
      }", ${LUA_PACKAGE}, ${LUA_FROM})`,
      old:
        `string.format("/api/dvs/packages/%s/changelists?limit=${PAGE}&after=%d", ${LUA_PACKAGE}, ${LUA_FROM})`,
      paths: numbers.map((at) =>
        `/api/dvs/packages/pkg-${String(at * 37 + 1).padStart(4, "0")}/changelists?limit=${PAGE}&order=asc`
      ),
      sql: toPgbench(ofBuilds, {
        "pkg-0001": [`\\set package random(1, ${PACKAGES})`, "('pkg-' || lpad((:package)::text, 4, '0'))"],
        100007: [`\\set from 100000 + random(0, ${BUILDS - PAGE}) * 7`, "(:from)::integer"],
      }),
    },
    {
      name: "results",
      rest: `string.format("/api/results?limit=${PAGE}&test=%s&to=%d", ${LUA_TEST}, ${LUA_TO})`,
      trpc: `string.format("/api/trpc/results.list?input=${
        trpcInput(`{"test":"%s","limit":${PAGE},"to":%d}`)
      }", ${LUA_TEST}, ${LUA_TO})`,
      old:
        `(function(at) return string.format("/api/results?limit=${PAGE}&test=suite%d/test-%04d", at % 20, at) end)(math.random(1, 2000))`,
      paths: numbers.map((at) =>
        `/api/results?limit=${PAGE}&test=test-${String(at % TESTS + 1).padStart(2, "0")}&to=${
          100_000 + (at + 10) * 7
        }`
      ),
      sql: toPgbench(ofResults, {
        "test-01": [`\\set test random(1, ${TESTS})`, "('test-' || lpad((:test)::text, 2, '0'))"],
        100700: [`\\set to 100000 + random(10, ${FEW}) * 7`, "(:to)::integer"],
      }),
    },
  ];
}

/**
 * Converts a statement with its values to a pgbench script. Named values are random in each transaction; others are
 * constant.
 */
function toPgbench(
  { text, values }: { text: string; values: unknown[] },
  random: Record<string, [setting: string, expression: string]>,
): string {
  const settings = Object.values(random).map(([setting]) => setting);
  const expressions = values.map((value, at) => {
    const [, expression] = random[String(value)] ?? [];
    if (expression !== undefined) return expression;
    if (typeof value === "string" && !/^\d+$/.test(value)) return `'${value.replaceAll("'", "''")}'`;
    settings.push(`\\set v${at} ${value}`);
    return `(:v${at})::integer`;
  });
  return `${settings.join("\n")}\n${text.replace(/\$(\d+)/g, (_all, at) => expressions[at - 1]!).trim()}\n`;
}

interface Servers {
  reading: BenchHub;
  holding: BenchHub;
  old: Old | undefined;
}

async function pages(bench: BenchDatabase, { reading, holding, old }: Servers): Promise<void> {
  for (const page of await pagesOf(bench)) {
    const get = (path: string) => `function request() return wrk.format("GET", ${path}) end`;
    const hot = `local pages = {${page.paths.map((path) => `"${path}"`).join(", ")}}
${get("pages[math.random(1, #pages)]")}`;
    const conditional = await conditionalOf(reading, page);
    const rates: Record<string, number[]> = {};
    const measure = async (name: string, ask: () => Promise<number>) => {
      (rates[name] ??= []).push(await ask());
    };
    for (let round = 0; round < ROUNDS; round++) {
      await measure("pgbench", () => pgbench(bench.url, page.sql, LOAD));
      await measure("REST, read", () => wrk(reading.url, get(page.rest), LOAD));
      await measure("tRPC, read", () => wrk(reading.url, get(page.trpc), LOAD));
      await measure("304", () => wrk(reading.url, conditional, LOAD));
      await measure("REST, cached", () => wrk(holding.url, hot, LOAD));
      if (old === undefined) continue;
      await measure("old", () => wrk(old.plain.url, get(page.old), LOAD));
      await measure("old, kept", () => wrk(old.kept.url, get(page.old), LOAD));
    }
    const rate = (name: string) => median(rates[name]!);
    console.log(
      `A page of ${PAGE} ${page.name}, ${LOAD.connections} connections, medians of ${ROUNDS}, per second:`,
    );
    for (const name of Object.keys(rates)) console.log(`  ${name.padEnd(10)} ${rate(name).toFixed(0)}`);
    const { name } = page;
    show(`${name}: REST, read / pgbench`, rate("REST, read") / rate("pgbench"), { atLeast: 0.45 });
    show(`${name}: tRPC, read / pgbench`, rate("tRPC, read") / rate("pgbench"), { atLeast: 0.35 });
    show(`${name}: 304 / REST, read`, rate("304") / rate("REST, read"), { atLeast: 3 });
    show(`${name}: 304 / REST, cached`, rate("304") / rate("REST, cached"));
    if (old === undefined) continue;
    const kept = `${name}: REST, %s / it with kept connections`;
    show(`${name}: REST, cached / the previous app`, rate("REST, cached") / rate("old"), { atLeast: 15 });
    show(kept.replace("%s", "cached"), rate("REST, cached") / rate("old, kept"), { atLeast: 3 });
    show(`${name}: REST, read / the previous app`, rate("REST, read") / rate("old"));
    show(kept.replace("%s", "read"), rate("REST, read") / rate("old, kept"));
  }
}

/** Returns Lua for conditional requests of pages that the client already has. */
async function conditionalOf({ url }: BenchHub, { paths }: Page): Promise<string> {
  const tagged = await Promise.all(paths.map(async (path) => {
    const response = await fetch(url + path);
    await response.body?.cancel();
    const tag = response.headers.get("etag")!;
    const again = await fetch(url + path, { headers: { "if-none-match": tag } });
    if (again.status !== 304) {
      throw new Error(`${path} answered ${again.status} instead of 304 to a matching If-None-Match`);
    }
    return `{"${path}", ${JSON.stringify(tag)}}`;
  }));
  return `local pages = {${tagged.join(", ")}}
function request()
  local page = pages[math.random(1, #pages)]
  return wrk.format("GET", page[1], {["If-None-Match"] = page[2]})
end`;
}

/** Measures the cost of a deep page, and of a page among 20 times the results. */
async function depth({ sql }: BenchDatabase, hub: BenchHub): Promise<void> {
  const results = "/api/results?test=test-01";
  const few = await costs(hub, { few: `${results}&limit=${PAGE}` });
  console.log(
    `${TESTS * FEW * 1000 / 1e6} million results: growing to ${TESTS * MANY * 1000 / 1e6} million …`,
  );
  await seedResults(sql, MANY);
  const lists = { results, builds: "/api/dvs/packages/deep/changelists?order=asc" };
  const asked = Object.fromEntries(
    await Promise.all(
      Object.entries(lists).flatMap(([name, path]) => [
        [`${name}, page 1`, Promise.resolve(`${path}&limit=${PAGE}`)] as const,
        [`${name}, page ${DEEP_PAGE}`, deepPage(hub, path)] as const,
      ]).map(async ([name, path]) => [name, await path] as const),
    ),
  );
  const many = await costs(hub, asked);
  for (const name of Object.keys(lists)) {
    show(
      `${name}: page ${DEEP_PAGE} / page 1, time`,
      many[`${name}, page ${DEEP_PAGE}`]! / many[`${name}, page 1`]!,
      { atMost: 1.5 },
    );
  }
  show("results: 20 million / 1 million, time", many["results, page 1"]! / few.few!, { atMost: 1.5 });
}

async function deepPage({ url }: BenchHub, path: string): Promise<string> {
  let cursor = "";
  for (let seen = 0; seen < (DEEP_PAGE - 1) * PAGE; seen += 1000) {
    const limit = Math.min(1000, (DEEP_PAGE - 1) * PAGE - seen);
    const page = await (await fetch(`${url}${path}&limit=${limit}${cursor}`)).json();
    if (page.items.length !== limit || page.nextCursor === null) {
      throw new Error(`${path} ends after ${seen}`);
    }
    cursor = `&cursor=${page.nextCursor}`;
  }
  return `${path}&limit=${PAGE}${cursor}`;
}

/** Returns the median latency of each path in ms, requested in turn. */
async function costs({ url }: BenchHub, paths: Record<string, string>): Promise<Record<string, number>> {
  const times: Record<string, number[]> = {};
  for (let at = 0; at < ASKED; at++) {
    for (const [name, path] of Object.entries(paths)) {
      const ms = await time(async () => {
        const { items } = await (await fetch(url + path)).json();
        if (items.length !== PAGE) throw new Error(`${path} has ${items.length} items`);
      });
      (times[name] ??= []).push(ms);
    }
  }
  for (const [name, all] of Object.entries(times)) {
    console.log(`  ${name.padEnd(24)} ${median(all).toFixed(2)} ms`);
  }
  return Object.fromEntries(Object.entries(times).map(([name, all]) => [name, median(all)]));
}
