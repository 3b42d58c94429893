import { expect, test } from "vitest";
import { type TestApp, testApp } from "../helpers/app.ts";
import { FAULTS_MS, faultSeed, report, seeded, trialCount } from "../helpers/faults.ts";
import { compare, startPushing, storedRuns } from "../helpers/push_load.ts";
import { openProxy, type TcpProxy } from "../helpers/tcp_proxy.ts";

const TRIALS = trialCount(3, 40);
/** Permitted recovery time with the hub's own limits; the trials use shorter ones. */
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

test("connections that go silent under load lose and duplicate nothing", async () => {
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
      const load = startPushing(
        (headers, raw) => app.ask("POST", "/api/results", { headers, raw }),
        { name: `trial-${trial}-` },
      );
      await new Promise((resolve) => setTimeout(resolve, 200 + random.below(400)));
      FAULTS[name]!(app, proxy);
      const began = performance.now();
      // The hub has recovered: reads and the pushes in progress succeed.
      await expect.poll(async () => (await app.ask("GET", "/api/tests")).status, { timeout: WELL_AGAIN_MS })
        .toBe(200);
      await load.end();
      const ms = performance.now() - began;
      const found = compare(load.taken, await storedRuns(app.sql, `trial-${trial}-`));
      pushed += load.taken.size;
      lost += found.lost;
      doubled += found.doubled;
      console.log(
        `${name}: ${load.taken.size} pushes, ${load.failed} tries failed, well after ${ms.toFixed()} ms`,
      );
      expect(ms).toBeLessThan(WELL_AGAIN_MS);
    }
  } finally {
    report("silent connections", { seed, trials: TRIALS, pushes: pushed, lost, doubled });
    await app.close();
    await proxy.close();
  }
  expect({ lost, doubled }).toEqual({ lost: 0, doubled: 0 });
}, FAULTS_MS);
