import type { BenchDatabase } from "./database.ts";
import { freePort, output } from "./load.ts";

/**
 * The previous app, measured in the same run on the same Postgres. CHUB_BENCH_PEER names a folder with its `peer.sh`
 * (install, seed, start, stop), `bulk.py` and `tasks.py`. Without it, comparisons with the previous app are skipped, and
 * a message says so.
 */
export interface Peer {
  /** Creates its tables with a million builds and results in an empty database. */
  seed(databaseUrl: string): Promise<void>;
  /** Serves until `stop`, with a database connection per request, or a persistent one per worker. */
  serve(databaseUrl: string, options: { keepsConnections: boolean }): Promise<Served>;
  /** Results per second of its bulk route, with 1,000 results per request over 4 connections. */
  bulk(url: string, total: number): Promise<number>;
  /** Results per second of its Celery task, which reads pages from a server. */
  scrape(databaseUrl: string, pages: string[], perPage: number): Promise<number>;
}

export interface Served {
  url: string;
  stop(): Promise<void>;
}

export function findPeer(): Peer | undefined {
  const folder = Deno.env.get("CHUB_BENCH_PEER");
  if (folder === undefined) {
    console.log("Skipping comparisons with the previous app: CHUB_BENCH_PEER is not set.");
    return undefined;
  }
  const run = (args: string[], env: Record<string, string> = {}) =>
    output("bash", [`${folder}/peer.sh`, ...args], "the previous app", { env });
  return {
    async seed(databaseUrl) {
      await run(["seed", databaseUrl]);
    },

    async serve(databaseUrl, { keepsConnections }) {
      const port = String(freePort());
      await run(["start", port, ...(keepsConnections ? ["wsgi_cached"] : [])], { CHUB_DSN: databaseUrl });
      return {
        url: `http://127.0.0.1:${port}`,
        stop: async () => void await run(["stop", port]),
      };
    },

    async bulk(url, total) {
      const out = await output("/usr/bin/python3", [`${folder}/bulk.py`, url, "1000", String(total), "4"]);
      return Number(/ (\d+) results\/s/.exec(out)![1]);
    },

    async scrape(databaseUrl, pages, perPage) {
      const port = freePort();
      const broker = new Deno.Command("redis-server", {
        args: ["--port", String(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"],
        stdout: "null",
      }).spawn();
      const env = { CHUB_BROKER: `redis://127.0.0.1:${port}/0`, CHUB_DSN: databaseUrl };
      const worker = new Deno.Command("/usr/bin/python3", {
        args: ["-m", "celery", "-A", "tasks", "worker", "-c", "2", "--loglevel", "ERROR"],
        cwd: folder,
        env,
        stdout: "null",
        stderr: "null",
      }).spawn();
      try {
        const out = await output("/usr/bin/python3", ["-c", ASK, ...pages], "python3", { env, cwd: folder });
        return pages.length * perPage / Number(out);
      } finally {
        worker.kill("SIGTERM");
        await worker.status;
        broker.kill("SIGTERM");
        await broker.status;
      }
    },
  };
}

/** The previous app in both connection modes, on a database of its own on the benchmark's server. */
export interface Old {
  databaseUrl: string;
  plain: Served;
  kept: Served;
  stop(): Promise<void>;
}

export async function serveOld({ sql, url }: BenchDatabase, peer: Peer): Promise<Old> {
  const name = `chub_bench_peer_${Deno.pid}`;
  await sql.unsafe(`create database ${name}`);
  const oldUrl = new URL(url);
  oldUrl.pathname = `/${name}`;
  await peer.seed(oldUrl.href);
  const plain = await peer.serve(oldUrl.href, { keepsConnections: false });
  const kept = await peer.serve(oldUrl.href, { keepsConnections: true });
  let isUp = true;
  return {
    databaseUrl: oldUrl.href,
    plain,
    kept,
    async stop() {
      if (!isUp) return;
      isUp = false;
      await Promise.all([plain.stop(), kept.stop()]);
      await sql.unsafe(`drop database ${name} with (force)`);
    },
  };
}

/**
 * Stores one page first, so that the worker is running; then stores the others concurrently and prints their duration in
 * seconds.
 */
const ASK = `
import sys, time
from tasks import scrape_page
first, *others = sys.argv[1:]
scrape_page.delay(first).get(timeout=60)
begun = time.perf_counter()
for one in [scrape_page.delay(url) for url in others]: one.get(timeout=300)
print((time.perf_counter() - begun) * (len(others) + 1) / len(others))
`;
