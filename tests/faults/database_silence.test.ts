import { expect, test } from "vitest";
import { type TestApp, testApp } from "../helpers/app.ts";
import { faultSeed, report, seeded, trialCount } from "../helpers/faults.ts";
import { openProxy, type TcpProxy } from "../helpers/tcp_proxy.ts";

const TRIALS = trialCount(3, 40);
const PUSHERS = 4;
/** What the issue allows, with the hub's own limits; the trials use shorter ones. */
const WELL_AGAIN_MS = 30_000;

const FAULTS: Record<string, (app: TestApp, proxy: TcpProxy) => unknown> = {
  freeze: (_app, proxy) => proxy.freeze(),
  "freeze all": (_app, proxy) => {
    proxy.freezesNew = true;
    proxy.freeze();
    setTimeout(() => proxy.freezesNew = false, 2000);
  },
  reset: (_app, proxy) => proxy.reset(),
};

interface Push {
  id: string;
  /** Statuses of its tries; the last one is good. */
  statuses: number[];
}

/** Pushes until `isOver`, each until it is taken, by one Idempotency-Key for all of its tries. */
async function pushOn(app: TestApp, name: string, { isOver }: { isOver(): boolean }): Promise<Push[]> {
  const pushes: Push[] = [];
  for (let at = 0; !isOver(); at++) {
    const push: Push = { id: `${name}-${at}`, statuses: [] };
    pushes.push(push);
    for (let status = 0; status !== 201 && status !== 200;) {
      const response = await app.ask("POST", "/api/results", {
        headers: { "idempotency-key": push.id },
        body: {
          test: "trial",
          changelist: 1,
          externalId: push.id,
          mode: "append",
          results: [{ case: `case ${at % 7}`, outcome: "passed" }],
        },
      });
      await response.body?.cancel();
      push.statuses.push(status = response.status);
    }
  }
  return pushes;
}

test("connections that fall silent under load lose and double nothing", async () => {
  const seed = faultSeed();
  let proxy!: TcpProxy;
  const app = await testApp({ RATE_WRITES: "1000000" }, {
    via: async (url) => (proxy = await openProxy(url)).url,
    limits: { askMs: 500, answerMs: 500, unreachableMs: 1500 },
  });
  let lost = 0;
  let doubled = 0;
  let pushed = 0;
  try {
    for (let trial = 0; trial < TRIALS; trial++) {
      const random = seeded(seed, trial);
      const name = random.pick(Object.keys(FAULTS));
      let isOver = false;
      const loads = Array.from(
        { length: PUSHERS },
        (_, at) => pushOn(app, `${trial}-${at}`, { isOver: () => isOver }),
      );
      await new Promise((resolve) => setTimeout(resolve, 200 + random.below(400)));
      FAULTS[name]!(app, proxy);
      const began = performance.now();
      // Well again: reads and the pushes under way.
      await expect.poll(async () => (await app.ask("GET", "/api/tests")).status, { timeout: WELL_AGAIN_MS })
        .toBe(200);
      isOver = true;
      const pushes = (await Promise.all(loads)).flat();
      const ms = performance.now() - began;
      const runs = await app.sql<{ id: string; count: number }[]>`
        select external_id as id, count(*)::int as count from runs
        where external_id like ${`${trial}-%`} group by external_id`;
      const counts = new Map(runs.map((run) => [run.id, run.count]));
      const failed = pushes.flatMap(({ statuses }) => statuses).filter((status) => status >= 400);
      expect(new Set(failed).difference(new Set([503]))).toEqual(new Set());
      pushed += pushes.length;
      lost += pushes.filter(({ id }) => !counts.has(id)).length;
      doubled += pushes.filter(({ id }) => (counts.get(id) ?? 0) > 1).length;
      console.log(
        `${name}: ${pushes.length} pushes, ${failed.length} tries failed, well after ${ms.toFixed()} ms`,
      );
      expect(ms).toBeLessThan(WELL_AGAIN_MS);
    }
  } finally {
    report("silent connections", { seed, trials: TRIALS, pushes: pushed, lost, doubled });
    await app.close();
    await proxy.close();
  }
  expect({ lost, doubled }).toEqual({ lost: 0, doubled: 0 });
});
