import { openDatabase } from "../db/core/client.ts";
import type { Db } from "../db/core/queryable.ts";
import { migrate } from "../db/core/migrate.ts";
import { startEmbedded } from "../run/embedded.ts";

export interface BenchDatabase {
  sql: Db;
  url: string;
  /** A temporary folder, deleted afterwards. */
  folder: string;
}

/**
 * Runs a benchmark on a new database, on the server that CHUB_BENCH_DATABASE_URL names, otherwise on an embedded one with
 * default durability.
 */
export async function withDatabase(measure: (bench: BenchDatabase) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "chub-bench-" });
  await Deno.chmod(folder, 0o755);
  const named = Deno.env.get("CHUB_BENCH_DATABASE_URL");
  const home = import.meta.dirname!.replace(/\/bench$/, "");
  const embedded = named === undefined ? await startEmbedded({ dataDir: `${folder}/pg`, home }) : undefined;
  const server = openDatabase(named ?? embedded!.url, { max: 1 });
  const name = `chub_bench_${Deno.pid}`;
  await server.unsafe(`create database ${name}`);
  const url = new URL(named ?? embedded!.url);
  url.pathname = `/${name}`;
  const sql = openDatabase(url.href);
  try {
    await migrate(sql);
    const [{ version }] = await sql<
      [{ version: string }]
    >`select current_setting('server_version') as version`;
    console.log(`Postgres ${version}, Deno ${Deno.version.deno}, ${navigator.hardwareConcurrency} cores`);
    await measure({ sql, url: url.href, folder });
  } finally {
    await sql.end();
    await server.unsafe(`drop database ${name} with (force)`);
    await server.end();
    await embedded?.stop();
    await Deno.remove(folder, { recursive: true });
  }
}

/** Returns how long `act` takes, in ms. */
export async function time(act: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await act();
  return performance.now() - start;
}

export function median(values: number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1]!;
}

/** Prints a ratio, and whether it meets its target. */
export function show(name: string, ratio: number, aim: { atLeast?: number; atMost?: number } = {}): void {
  const { atLeast, atMost } = aim;
  const isMet = (atLeast === undefined || ratio >= atLeast) && (atMost === undefined || ratio <= atMost);
  const target = atLeast !== undefined
    ? ` (aim: at least ${atLeast})`
    : atMost !== undefined
    ? ` (aim: at most ${atMost})`
    : "";
  console.log(`${name.padEnd(60)} ${ratio.toFixed(2)}${target}${isMet ? "" : "  MISSED"}`);
}
