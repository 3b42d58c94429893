import { type BenchDatabase, median, show, time, withDatabase } from "./database.ts";
import { type BenchHub, startHub } from "./hub.ts";
import { casesOf, copyOf } from "./ingest.ts";
import { findPeer, serveOld } from "./peer.ts";

const PAGES = 100;
const PER_PAGE = 1000;
const ROUNDS = 3;

/** Compares a scrape of a paged JSON API on loopback, by the `json` scraper, with `copy` of as many rows. */
export async function run(): Promise<void> {
  const pages = pagesOf();
  const oldPages = oldPagesOf();
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (request) => {
    const { pathname, searchParams } = new URL(request.url);
    const page = Number(searchParams.get("page"));
    if (pathname === "/old") return new Response(oldPages[page - 1]);
    return new Response(pages[page - 1] ?? '{"runs":[]}', {
      headers: { "content-type": "application/json" },
    });
  });
  const host = `127.0.0.1:${server.addr.port}`;
  try {
    await withDatabase(async (bench) => {
      const hub = await startHub(bench, { SCRAPE_HOSTS: host });
      try {
        const rate = await measure(bench, hub, `http://${host}/api`);
        await compareWithOld(bench, rate, `http://${host}/old`);
      } finally {
        await hub.stop();
      }
    });
  } finally {
    await server.shutdown();
  }
}

function pagesOf(): Uint8Array<ArrayBuffer>[] {
  const encoder = new TextEncoder();
  return Array.from({ length: PAGES }, (_, page) =>
    encoder.encode(JSON.stringify({
      runs: [{ id: page, changelist: 1000 + page, tests: casesOf(PER_PAGE) }],
    })));
}

/** Returns the same results in the previous app's format. */
function oldPagesOf(): Uint8Array<ArrayBuffer>[] {
  const encoder = new TextEncoder();
  return Array.from({ length: PAGES }, (_, page) =>
    encoder.encode(JSON.stringify({
      results: casesOf(PER_PAGE).map((one, at) => ({
        lab: "bench",
        lab_id: page * PER_PAGE + at,
        test: one.name,
        package: "pkg",
        changelist: 1000 + page,
        status: one.outcome === "passed" ? "pass" : "fail",
        duration_ms: one.durationMs,
        started_at: "2024-06-01T00:00:00Z",
        message: one.message ?? null,
      })),
    })));
}

async function compareWithOld(bench: BenchDatabase, rate: number, url: string): Promise<void> {
  const peer = findPeer();
  if (peer === undefined) return;
  const served = await serveOld(bench, peer);
  try {
    const pages = Array.from({ length: PAGES }, (_, page) => `${url}?page=${page + 1}`);
    const old = await peer.scrape(served.databaseUrl, pages, PER_PAGE);
    console.log(
      `the previous app: ${Math.round(old / 1000)} thousand results/s by its Celery task, 2 workers`,
    );
    show("scrape / the Celery task of the previous app", rate / old, { atLeast: 3 });
  } finally {
    await served.stop();
  }
}

/** Returns the results per second that a scrape stores. */
async function measure({ sql }: BenchDatabase, hub: BenchHub, url: string): Promise<number> {
  const times: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    await sql`checkpoint`;
    times.push(await scrape(hub, `scrape ${round}`, url));
  }
  const [run] = await sql<{ id: number }[]>`select min(id)::int as id from runs`;
  const copy = await copyOf(sql, run!.id, PER_PAGE);
  const copies: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    await sql`checkpoint`;
    copies.push(
      await time(async () => {
        for (let page = 0; page < PAGES; page++) await copy();
      }),
    );
  }
  const [ms, copyMs] = [median(times), median(copies)];
  const rate = PAGES * PER_PAGE / ms * 1000;
  console.log(
    `${PAGES} pages of ${PER_PAGE} results, medians of ${ROUNDS}: scrape ${(ms / 1000).toFixed(2)} s, ${
      Math.round(rate / 1000)
    } thousand results/s; copy of each page ${(copyMs / 1000).toFixed(2)} s`,
  );
  show("copy of each page / scrape", copyMs / ms);
  return rate;
}

/** Returns a scrape's duration in ms, as reported by the hub. */
async function scrape(hub: BenchHub, test: string, url: string): Promise<number> {
  const settings = {
    url,
    next: { page: "page" },
    runs: "$.runs[*]",
    run: { externalId: "$.id", changelist: "$.changelist" },
    results: "$.tests[*]",
    result: { case: "$.name", outcome: "$.outcome", durationMs: "$.durationMs", message: "$.message" },
  };
  const name = encodeURIComponent(test);
  await hub.ask("POST", "tests", { name: test, scraper: "json", settings, intervalMs: 86_400_000 });
  await hub.ask("POST", `tests/${name}/scrape`, {});
  while (true) {
    const { lastScrape } = await hub.ask("GET", `tests/${name}`);
    if (lastScrape !== null && lastScrape.state !== "running") {
      if (lastScrape.state !== "done" || lastScrape.resultsWritten !== PAGES * PER_PAGE) {
        throw new Error(JSON.stringify(lastScrape));
      }
      return lastScrape.durationMs;
    }
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}
