import { afterAll, beforeAll, expect, test } from "vitest";
import { openDatabase } from "../../db/core/client.ts";
import type { Db } from "../../db/core/queryable.ts";
import { type TestApp, testApp } from "../helpers/app.ts";
import { persist, prepareStates, STATES } from "../helpers/database_states.ts";
import { FAULTS_MS, faultSeed, report, seeded, shuffled, trialCount } from "../helpers/faults.ts";
import { until } from "../helpers/lab.ts";
import { type OwnPostgres, ownPostgres } from "../helpers/own_postgres.ts";
import { compare, startPushing, storedRuns } from "../helpers/push_load.ts";

const NAMES = Object.keys(STATES);
/** Permitted recovery time. */
const WELL_AGAIN_MS = 30_000;
/** Number of pushes acknowledged before a state begins, and after it has ended, in each trial. */
const PUSHES = 4;
/** Number of requests that fail in a state: the first may find connections that were just ended. */
const FAILURES = 3 * PUSHES;

let server: OwnPostgres;
let app: TestApp;
let sql: Db;
beforeAll(async () => {
  server = await ownPostgres();
  app = await testApp({ RATE_WRITES: "1000000", RATE_READS: "1000000" }, {
    via: () => Promise.resolve(server.url),
    // Waits for a lock end early, as if the clock ran faster.
    limits: { askMs: 300, answerMs: 2000, lockMs: 1000 },
  });
  const url = new URL(server.url);
  url.username = "chub";
  sql = openDatabase(url.href, { max: 1 });
  await prepareStates(sql);
});
afterAll(async () => {
  await sql.end({ timeout: 1 });
  await app.close();
  await server[Symbol.asyncDispose]();
});

/** Keeps reading until `isOver`. Returns the answers that no good client may get. */
async function readOn(isOver: () => boolean): Promise<string[]> {
  const bad: string[] = [];
  while (!isOver()) {
    for (const path of ["/api/tests", "/api/runs?test=trial", "/api/health/live"]) {
      const answer = await app.ask("GET", path);
      const text = await answer.text();
      const isWait = answer.status === 503 && Number(answer.headers.get("retry-after")) > 0 &&
        path !== "/api/health/live";
      if (!answer.ok && !isWait) bad.push(`${path} ${answer.status}: ${text}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return bad;
}

test(
  "no state of the database under load loses or duplicates data, and rejections are a 503 or 507",
  async () => {
    const seed = faultSeed();
    const trials = trialCount(NAMES.length, 4 * NAMES.length);
    const began = performance.now();
    const figures = { pushes: 0, lost: 0, doubled: 0 };
    try {
      for (let trial = 0; trial < trials; trial++) {
        // Every state occurs once before any occurs twice.
        const round = Math.floor(trial / NAMES.length);
        const state = shuffled(NAMES, seeded(seed, -1 - round))[trial % NAMES.length]!;
        const name = `trial-${trial}-`;
        const load = startPushing(
          (headers, raw) => Promise.resolve(app.ask("POST", "/api/results", { headers, raw })),
          { name },
        );
        await until(() => Promise.resolve(load.taken.size), (taken) => taken >= PUSHES);
        let isOver = false;
        const reads = readOn(() => isOver);
        const failed = load.failed;
        const random = seeded(seed, trial);
        console.log(`${state}, trial ${trial}`);
        await STATES[state]!({ server, sql, random, hasFailed: () => load.failed >= failed + FAILURES });
        const ended = performance.now();
        const taken = load.taken.size;
        await expect.poll(() => load.taken.size, { timeout: WELL_AGAIN_MS }).toBeGreaterThan(taken + PUSHES);
        await expect.poll(async () => (await app.ask("GET", "/api/health/ready")).status, {
          timeout: WELL_AGAIN_MS,
        }).toBe(200);
        const ms = performance.now() - ended;
        await load.end();
        isOver = true;
        expect([state, await reads]).toEqual([state, []]);
        const found = compare(load.taken, await persist(() => storedRuns(sql, name)));
        figures.pushes += load.taken.size;
        figures.lost += found.lost;
        figures.doubled += found.doubled;
        console.log(
          `${state}: ${load.taken.size} pushes, ${load.failed} tries failed, well after ${ms.toFixed()} ms`,
        );
      }
    } finally {
      for (const line of app.logged) if (line.includes("The hub failed")) console.log(line);
      report("database states", { seed, trials, ...figures });
    }
    expect(figures).toMatchObject({ lost: 0, doubled: 0 });
    // Each fault is logged once, then once a minute.
    const minutes = Math.ceil((performance.now() - began) / 60_000);
    const lines = Map.groupBy(app.logged, (line) => (JSON.parse(line) as [string])[0]);
    const counts = [...lines].map(([message, all]) => [message, all.length] as const);
    expect(counts.filter(([, count]) => count > minutes + 1)).toEqual([]);
    expect([...lines.keys()].filter((message) => message.startsWith("The hub failed"))).toEqual([]);
  },
  FAULTS_MS,
);
