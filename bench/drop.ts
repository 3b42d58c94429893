import { once } from "node:events";
import { scanDropTask } from "../cron/tasks/scan_drop.ts";
import type { Db } from "../db/core/queryable.ts";
import { withDatabase } from "./database.ts";
import { makeTree } from "./drop_tree.ts";

/** Packages, builds in each, and rounds; `CHUB_BENCH_DROP=2000x1000x1` is a larger tree. */
const [PACKAGES, BUILDS, ROUNDS] = sizesOf(Deno.env.get("CHUB_BENCH_DROP") ?? "2000x100x5");
/** Targets for the cost of a scan. */
const COLD_AIM = 1.3;
const WARM_AIM = 0.5;

function sizesOf(text: string): [number, number, number] {
  const sizes = text.split("x").map(Number);
  if (sizes.length !== 3 || !sizes.every((size) => Number.isInteger(size) && size > 0)) {
    throw new Error(`CHUB_BENCH_DROP must be packages x builds x rounds, as 2000x100x5 (now: ${text})`);
  }
  return sizes as [number, number, number];
}

/**
 * Scans a generated drop cold, warm and in full, and compares each scan with GNU find listing the same tree. The cold
 * scan is also compared with find plus `copy` of the same final rows into a table with the same indexes. Prints medians
 * of several rounds. The server is the one in CHUB_BENCH_DATABASE_URL, otherwise an embedded one with default durability.
 */
export async function run(): Promise<void> {
  await withDatabase(compare);
}

async function compare({ sql, folder }: { sql: Db; folder: string }): Promise<void> {
  const root = `${folder}/drop`;
  const [server] = await sql`show server_version`;
  console.log(
    `${makeTree(root, { packages: PACKAGES, builds: BUILDS })} builds in ${PACKAGES} packages, Postgres ${
      server!.server_version
    }, ${ROUNDS} rounds`,
  );
  const times = {
    find: [] as number[],
    copy: [] as number[],
    cold: [] as number[],
    warm: [] as number[],
    full: [] as number[],
  };
  const memory = watchMemory();
  let startedAt = Date.now();
  const scan = async (full: boolean) => {
    startedAt += 3_600_000;
    await scanDropTask(
      {
        sql,
        config: {
          dropRoots: [{ name: "drop", url: `file://${root}` }],
          dropPattern: undefined,
          dropFullScanDays: 7,
        },
        fetch: globalThis.fetch,
        now: () => new Date(startedAt),
      },
      { full, cause: "request" },
      new AbortController().signal,
    );
    const [last] = await sql`
      select state, builds_seen::int as seen, packages_unchanged as unchanged from scans order by id desc limit 1`;
    if (last!.state !== "done") throw new Error("the scan failed");
    return last!;
  };
  let rows: string[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    await sql`truncate packages, package_readings, builds, scans cascade`;
    await sql`checkpoint`;
    times.find.push(await time(() => find(root)));
    // Later rounds keep the rows to copy in memory.
    if (round === 0) memory.reset();
    times.cold.push(await time(() => scan(false)));
    times.warm.push(await time(() => scan(false)));
    times.full.push(await time(() => scan(true)));
    memory.note();
    if (rows.length === 0) rows = await readRows(sql);
    await sql.unsafe("create table same (like builds including all)");
    await sql`checkpoint`;
    times.copy.push(await time(() => copyRows(sql, rows)));
    const [copied] = await sql.unsafe("select count(*)::int as count from same");
    if (copied!.count !== PACKAGES * BUILDS) throw new Error(`copied ${copied!.count} rows`);
    await sql.unsafe("drop table same");
  }
  memory.stop();
  const median = Object.fromEntries(
    Object.entries(times).map(([name, all]) => [name, all.sort((a, b) => a - b)[ROUNDS >> 1]!]),
  ) as Record<keyof typeof times, number>;
  for (const [name, ms] of Object.entries(median)) {
    const all = times[name as keyof typeof times];
    console.log(`${name.padEnd(5)} ${seconds(ms)} (${seconds(all[0]!)} to ${seconds(all.at(-1)!)})`);
  }
  show("cold / (find + copy)", median.cold / (median.find + median.copy), COLD_AIM);
  show("warm / find", median.warm / median.find, WARM_AIM);
  show("full rescan / (find + copy)", median.full / (median.find + median.copy));
  show("cold / find", median.cold / median.find);
  show("cold / copy", median.cold / median.copy);
  console.log(
    `memory of the process: ${memory.before} MiB before, at most ${memory.highest} MiB while scanning`,
  );
}

function show(name: string, ratio: number, aim?: number): void {
  const verdict = aim === undefined ? "" : ` (aim: at most ${aim}; ${ratio <= aim ? "kept" : "MISSED"})`;
  console.log(`${name}: ${ratio.toFixed(2)}${verdict}`);
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(2)} s`;
}

async function time(run: () => unknown): Promise<number> {
  const begun = performance.now();
  await run();
  return performance.now() - begun;
}

async function find(root: string): Promise<void> {
  const { success } = await new Deno.Command("find", {
    args: [root, "-mindepth", "2", "-printf", "%P\\n"],
    stdout: "null",
  }).output();
  if (!success) throw new Error("find failed");
}

/** Reads the rows in the format of `copy`, in chunks, so that only the copying is timed. */
async function readRows(sql: Db): Promise<string[]> {
  const chunks: string[] = [];
  let chunk = "";
  const all = sql`
    select concat_ws(e'\\t', root_id, package_id, changelist, revision, file, coalesce(size::text, e'\\\\N'), first_seen)
      as line from builds`;
  for await (const rows of all.cursor(10_000)) {
    for (const row of rows) chunk += `${row.line}\n`;
    if (chunk.length < 65_536) continue;
    chunks.push(chunk);
    chunk = "";
  }
  return [...chunks, chunk];
}

async function copyRows(sql: Db, rows: string[]): Promise<void> {
  await sql.begin(async (tx) => {
    const into = await tx`
      copy same (root_id, package_id, changelist, revision, file, size, first_seen) from stdin`.writable();
    for (const chunk of rows) if (!into.write(chunk)) await once(into, "drain");
    into.end();
    await once(into, "finish");
  });
}

/** Samples the resident memory in MiB: before, and the maximum. */
function watchMemory() {
  const now = () => Math.round(Deno.memoryUsage().rss / (1 << 20));
  const seen = { before: now(), highest: 0, isOn: false };
  const look = () => {
    if (seen.isOn) seen.highest = Math.max(seen.highest, now());
  };
  const timer = setInterval(look, 20);
  return {
    get before() {
      return seen.before;
    },
    get highest() {
      return seen.highest;
    },
    reset() {
      seen.isOn = true;
      look();
    },
    note() {
      look();
      seen.isOn = false;
    },
    stop: () => clearInterval(timer),
  };
}
