import type { Db } from "../db/core/queryable.ts";
import { copyInto } from "../db/core/copy.ts";
import { type BenchDatabase, median, show, time, withDatabase } from "./database.ts";
import { type BenchHub, startHub } from "./hub.ts";
import { findPeer, serveOld } from "./peer.ts";
import { pushMemory } from "./push_memory.ts";

const LARGE = 100_000;
const SMALL = 7_500;
const ROUNDS = 5;
const SMALL_ROUNDS = 21;
const WRITERS = 8;

/** Compares pushes, by format and number of writers, with `copy` of the same final rows into the same tables. */
export async function run(): Promise<void> {
  await withDatabase(async (bench) => {
    const hub = await startHub(bench);
    try {
      await large(bench, hub);
      await small(bench, hub);
      await writers(hub);
      await old(bench);
    } finally {
      await hub.stop();
    }
    await pushMemory(bench);
  });
}

export interface Case {
  name: string;
  outcome: string;
  durationMs: number;
  message?: string;
}

/** Makes cases like a compiler's test suite: one in fifty fails, with a message. */
export function casesOf(count: number): Case[] {
  return Array.from({ length: count }, (_, at) => ({
    name: `suite${at % 40}.group${at % 997}/case_${at}`,
    outcome: at % 50 === 7 ? "failed" : "passed",
    durationMs: (at * 37) % 5000,
    ...(at % 50 === 7 ? { message: `assertion at line ${at}: expected 1, got 2` } : {}),
  }));
}

const FORMATS = {
  ndjson: {
    type: "application/x-ndjson",
    encode: (cases: Case[]) =>
      cases.map(({ name, ...rest }) => JSON.stringify({ case: name, ...rest })).join("\n"),
  },
  csv: {
    type: "text/csv",
    encode: (cases: Case[]) =>
      "case,outcome,durationMs,message\n" +
      cases.map((one) => `${one.name},${one.outcome},${one.durationMs},"${one.message ?? ""}"`).join("\n"),
  },
  junit: {
    type: "application/xml",
    encode: (cases: Case[]) =>
      `<testsuite>${
        cases.map((one) =>
          one.message === undefined
            ? `<testcase name="${one.name}" time="${one.durationMs / 1000}"/>\n`
            : `<testcase name="${one.name}" time="${
              one.durationMs / 1000
            }"><failure message="${one.message}"/></testcase>\n`
        ).join("")
      }</testsuite>`,
  },
  dejagnu: {
    type: "text/plain",
    encode: (cases: Case[]) =>
      cases.map((one) => `${one.outcome === "passed" ? "PASS" : "FAIL"}: ${one.name}\n`).join(""),
  },
} as const;

let pushed = 0;

async function push(hub: BenchHub, test: string, type: string, body: BodyInit): Promise<number> {
  const query = new URLSearchParams({ test, changelist: "1000", externalId: `run ${++pushed}` });
  const response = await fetch(`${hub.url}/api/results?${query}`, {
    method: "POST",
    headers: { authorization: `Bearer ${hub.token}`, "content-type": type },
    body,
  });
  const answer = await response.json();
  if (response.status !== 201) throw new Error(JSON.stringify(answer));
  return answer.runId;
}

/** Returns a function that copies a run's rows, as text, into the same partitions under another run id. */
export async function copyOf(sql: Db, runId: number, cases: number): Promise<() => Promise<void>> {
  const rows = await sql<{ line: string }[]>`
    select concat_ws(E'\t', case_id, ordinal, outcome, changelist, coalesce(duration_ms::text, '\\N'), coalesce(word, '\\N'),
      coalesce(message, '\\N')) as line
    from results where run_id = ${runId}`;
  if (rows.length !== cases) throw new Error(`${rows.length} rows, not ${cases}`);
  let target = 15_000;
  return async () => {
    target++;
    const text = rows.map(({ line }) => `${target}\t${line}\n`).join("");
    await sql.begin(async (tx) => {
      const copy = tx`
        copy results (run_id, case_id, ordinal, outcome, changelist, duration_ms, word, message) from stdin`;
      await copyInto(tx, copy, text);
    });
  };
}

async function large({ sql }: BenchDatabase, hub: BenchHub): Promise<void> {
  const cases = casesOf(LARGE);
  const first = await push(hub, "large", FORMATS.ndjson.type, FORMATS.ndjson.encode(cases));
  const copy = await copyOf(sql, first, LARGE);
  const times: Record<string, number[]> = {
    copy: [],
    ...Object.fromEntries(Object.keys(FORMATS).map((name) => [name, []])),
  };
  const bodies = Object.entries(FORMATS).map(([name, { type, encode }]) =>
    [name, type, new TextEncoder().encode(encode(cases))] as const
  );
  for (let round = 0; round < ROUNDS; round++) {
    await sql`checkpoint`;
    times.copy!.push(await time(copy));
    for (const [name, type, body] of bodies) {
      await sql`checkpoint`;
      times[name]!.push(await time(() => push(hub, "large", type, body)));
    }
  }
  console.log(`${LARGE} results, medians of ${ROUNDS}:`);
  for (const [name, all] of Object.entries(times)) {
    console.log(
      `  ${name.padEnd(8)} ${(median(all) / 1000).toFixed(2)} s, ${
        Math.round(LARGE / median(all))
      } thousand results/s`,
    );
  }
  for (const name of Object.keys(FORMATS)) {
    rates[name] = LARGE / median(times[name]!) * 1000;
    show(
      `copy / push of ${LARGE} as ${name}`,
      median(times.copy!) / median(times[name]!),
      name === "ndjson" ? { atLeast: 0.5 } : {},
    );
  }
}

async function small({ sql }: BenchDatabase, hub: BenchHub): Promise<void> {
  const cases = casesOf(SMALL);
  const body = FORMATS.ndjson.encode(cases);
  const first = await push(hub, "small", FORMATS.ndjson.type, body);
  const copy = await copyOf(sql, first, SMALL);
  const times = { copy: [] as number[], push: [] as number[] };
  for (let round = 0; round < SMALL_ROUNDS; round++) {
    times.copy.push(await time(copy));
    times.push.push(await time(() => push(hub, "small", FORMATS.ndjson.type, body)));
  }
  console.log(
    `${SMALL} results, p50: push ${median(times.push).toFixed(0)} ms, copy ${
      median(times.copy).toFixed(0)
    } ms`,
  );
  show(`push / copy of ${SMALL} results, p50`, median(times.push) / median(times.copy), { atMost: 3 });
}

/** Results per second of the last pushes of 100,000 results, by format. */
const rates: Record<string, number> = {};

/** Compares with the previous app: its bulk route on the same server, with a million results stored. */
async function old(bench: BenchDatabase): Promise<void> {
  const peer = findPeer();
  if (peer === undefined) return;
  const served = await serveOld(bench, peer);
  try {
    const rate = median([
      await peer.bulk(served.kept.url, LARGE),
      await peer.bulk(served.kept.url, LARGE),
      await peer.bulk(served.kept.url, LARGE),
    ]);
    console.log(
      `the previous app: ${
        Math.round(rate / 1000)
      } thousand results/s by its bulk route, persistent connections`,
    );
    for (const name of Object.keys(FORMATS)) {
      show(`push as ${name} / bulk route of the previous app`, rates[name]! / rate, { atLeast: 3 });
    }
  } finally {
    await served.stop();
  }
}

async function writers(hub: BenchHub): Promise<void> {
  const body = FORMATS.ndjson.encode(casesOf(SMALL));
  const several = async (count: number, each: number) => {
    const ms = await time(() =>
      Promise.all(Array.from({ length: count }, async () => {
        for (let at = 0; at < each; at++) await push(hub, "writers", FORMATS.ndjson.type, body);
      }))
    );
    return count * each * SMALL / ms;
  };
  await several(1, 2);
  const one = await several(1, 16);
  const many = await several(WRITERS, 4);
  console.log(`one writer ${one.toFixed(0)}, ${WRITERS} writers ${many.toFixed(0)} thousand results/s`);
  show(`${WRITERS} writers / one`, many / one, { atLeast: 1.3 });
}
