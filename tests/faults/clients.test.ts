import { afterAll, beforeAll, expect, test } from "vitest";
import { FAULTS_MS, faultSeed, report, seeded, shuffled, trialCount } from "../helpers/faults.ts";
import { HOSTILE } from "../helpers/hostile_clients.ts";
import { COPIES, type HubProcess, startHubProcess, USUAL_MB } from "../helpers/hub_process.ts";
import { until } from "../helpers/lab.ts";
import { type TestDatabase, testDatabase } from "../helpers/postgres.ts";
import { compare, startPushing, storedRuns } from "../helpers/push_load.ts";
import { exchange } from "../helpers/wire.ts";

const TRIALS = trialCount(3, 40);
const NAMES = Object.keys(HOSTILE);
/** Concurrent hostile clients: each kind, some kinds twice. */
const CLIENTS = NAMES.length + 10;
const PUSH_LIMIT = 4 << 20;
const ROOM = 16 << 20;
/** Number of database connections that may be open: those of the pool, the queue and the watch. */
const DATABASE = 16;

let database: TestDatabase;
let hub: HubProcess;
beforeAll(async () => {
  database = await testDatabase();
  hub = await startHubProcess(database.url, {
    BODY_MEMORY: String(ROOM),
    PUSH_JSON_LIMIT: String(PUSH_LIMIT),
    HEADER_TIMEOUT: "2",
    IDLE_TIMEOUT: "2",
    BODY_TIMEOUT: "2",
    RATE_READS: "10000000",
    RATE_WRITES: "10000000",
  });
});
afterAll(async () => {
  await hub[Symbol.asyncDispose]();
  await database.drop();
});

const pushes = (name: string) =>
  startPushing((headers, body) =>
    fetch(`http://127.0.0.1:${hub.port}/api/results`, {
      method: "POST",
      headers: { ...headers, authorization: `Bearer ${hub.token}` },
      body,
    }).catch(() => undefined), { name });

/** Keeps reading until `isOver`, each time on a new connection. Returns the answers that no good client may get. */
async function readOn(paths: string[], allowed: number[], isOver: () => boolean): Promise<string[]> {
  const bad: string[] = [];
  while (!isOver()) {
    for (const path of paths) {
      const request = `GET ${path} HTTP/1.1\r\nhost: 127.0.0.1:${hub.port}\r\nconnection: close\r\n\r\n`;
      const { status, body } = await exchange(hub.port, request);
      if (!allowed.includes(status)) bad.push(`${path} ${status}: ${body.slice(0, 500)}`);
    }
  }
  return bad;
}

/** Returns what the hub logged other than warnings of a limit: errors, and lines that are not in its log format. */
async function faultsLogged(): Promise<string[]> {
  const lines = (await hub.log()).split("\n").filter((line) => line !== "");
  return lines.filter((line) => {
    const { level } = line.startsWith("{") ? JSON.parse(line) as { level: string } : { level: "none" };
    return level === "error" || level === "none";
  });
}

test("hostile clients do not affect good ones, and leave nothing behind", async () => {
  const seed = faultSeed();
  const figures = { clients: 0, pushes: 0, lost: 0, doubled: 0 };
  const statuses = new Map<number, number>();
  const before = hub.residentMb();
  let files = 0;
  try {
    for (let trial = 0; trial < TRIALS; trial++) {
      const random = seeded(seed, trial);
      const name = `trial-${trial}-`;
      const load = pushes(name);
      await until(() => Promise.resolve(load.taken.size), (taken) => taken > 0);
      if (trial === 0) files = hub.openFiles();
      let isOver = false;
      const reads = ["/api/tests", "/api/runs?test=trial&limit=100", "/api/results?test=trial&format=csv"];
      const good = [
        readOn(reads, [200, 503], () => isOver),
        readOn(["/api/health/live"], [200], () => isOver),
      ];
      const over = Promise.withResolvers<void>();
      const world = { port: hub.port, token: hub.token, pushLimit: PUSH_LIMIT, over: over.promise };
      const order = shuffled(NAMES, random);
      const clients = Array.from({ length: CLIENTS }, async (_, at) => {
        const kind = order[at % NAMES.length]!;
        const own = seeded(seed ^ random.below(2 ** 32), at);
        const answers = await HOSTILE[kind]!(world, own)
          .catch((error) => Promise.reject(new Error(`${kind}: ${error}`, { cause: error })));
        for (const status of answers) statuses.set(status, (statuses.get(status) ?? 0) + 1);
        const bad = answers.filter((status) => status >= 500 && status !== 503 && status !== 507);
        expect([kind, bad]).toEqual([kind, []]);
      });
      // Clients that nothing ends earlier remain when the others have ended.
      const waiting = clients.filter((_, at) => !order[at % NAMES.length]!.includes("never reads"));
      const ended = await Promise.allSettled(waiting);
      over.resolve();
      await Promise.all(clients);
      expect(ended.filter(({ status }) => status === "rejected")).toEqual([]);
      figures.clients += clients.length;
      await load.end();
      isOver = true;
      expect((await Promise.all(good)).flat()).toEqual([]);
      const found = compare(load.taken, await storedRuns(database.sql, name));
      figures.pushes += load.taken.size;
      figures.lost += found.lost;
      figures.doubled += found.doubled;
      await until(() => Promise.resolve(hub.openFiles()), (count) => count <= files + DATABASE);
      const { now } = hub.residentMb();
      console.log(`trial ${trial}: ${load.taken.size} pushes, ${load.failed} tries failed, ${now} MB`);
      expect(now - before.now).toBeLessThan(USUAL_MB + COPIES * ROOM / 1e6);
    }
  } finally {
    report("hostile clients", { seed, trials: TRIALS, ...figures });
    console.log(`answers to them: ${JSON.stringify([...statuses].toSorted())}`);
  }
  expect(figures).toMatchObject({ lost: 0, doubled: 0 });
  expect(await storedRuns(database.sql, "cut-")).toEqual([]);
  expect(await faultsLogged()).toEqual([]);
}, FAULTS_MS);
