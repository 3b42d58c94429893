import { expect, test } from "vitest";
import type { Counts } from "../../schemas/outcome.ts";
import { FAULTS_MS, faultSeed, report, seeded, trialCount } from "../helpers/faults.ts";
import { until } from "../helpers/lab.ts";
import { endProcess } from "../helpers/processes.ts";
import { compare, type PushLoad, type SendPush, startPushing, type StoredRun } from "../helpers/push_load.ts";
import { isReady, type Started, type StartWorld, startWorld } from "../helpers/start_bench.ts";

const TRIALS = trialCount(3, 40);
const VICTIMS = ["starter", "hub and starter", "Postgres", "lab"] as const;
const ENV = { RATE_WRITES: "1000000" };

/** Sends a push to the hub that is running now. */
async function sender({ url, token }: StartWorld): Promise<SendPush> {
  const authorization = `Bearer ${await token()}`;
  return (headers, body) =>
    fetch(`${url}/api/results`, { method: "POST", headers: { ...headers, authorization }, body })
      .catch(() => undefined);
}

async function storedRuns({ url }: StartWorld): Promise<StoredRun[]> {
  const runs: StoredRun[] = [];
  for (let cursor: string | null = ""; cursor !== null;) {
    const page = await (await fetch(`${url}/api/runs?test=trial&limit=1000${cursor && `&cursor=${cursor}`}`))
      .json() as {
        items: { externalId: string; counts: Counts }[];
        nextCursor: string | null;
      };
    for (const { externalId, counts } of page.items) runs.push({ externalId, results: counts.passed ?? 0 });
    cursor = page.nextCursor;
  }
  return runs;
}

test("kill -9 of any process loses and duplicates no push, and the hub recovers", async () => {
  const seed = faultSeed();
  const world = await startWorld();
  let load: PushLoad | undefined;
  let found = { lost: 0, doubled: 0 };
  /** Kills a process once it is running: it may just be restarting. */
  const kill = async (part: RegExp) => {
    const pid = await until(() => world.processOf(part), (found) => found !== undefined);
    endProcess(pid!, "SIGKILL");
  };
  try {
    let hub: Started = await world.start({ env: ENV });
    const { taken, end } = load = startPushing(await sender(world), { name: "trial", pushers: 2 });
    for (let trial = 0; trial < TRIALS; trial++) {
      const random = seeded(seed, trial);
      const victim = random.pick(VICTIMS);
      await new Promise((resolve) => setTimeout(resolve, random.below(2000)));
      if (victim === "Postgres") await kill(/bin\/postgres -D/);
      else if (victim === "lab") await kill(/lab\/main\.ts/);
      else {
        const old = await world.hubPid(hub.child.pid);
        if (victim === "hub and starter") endProcess(old, "SIGKILL");
        hub.child.kill("SIGKILL");
        await hub.child.status;
        hub = await world.start({ env: ENV });
        await until(() => world.hubPid(hub.child.pid).catch(() => undefined), Boolean);
      }
      const before = taken.size;
      await until(async () => await isReady(world.port) && taken.size > before, Boolean);
      console.log(`${victim}: well again, ${taken.size} pushes`);
    }
    await end();
    found = compare(taken, await storedRuns(world));
    hub.child.kill("SIGTERM");
    await hub.child.status;
    expect(await world.leftOver()).toEqual([]);
  } finally {
    report("killed processes", { seed, trials: TRIALS, pushes: load?.taken.size ?? 0, ...found });
    await world.clear();
    await world.remove();
  }
  expect(found).toEqual({ lost: 0, doubled: 0 });
}, FAULTS_MS);
