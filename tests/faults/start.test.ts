import { expect, test } from "vitest";
import { faultSeed, report, seeded, trialCount } from "../helpers/faults.ts";
import { until } from "../helpers/lab.ts";
import { endProcess } from "../helpers/processes.ts";
import { isReady, type Started, type StartWorld, startWorld } from "../helpers/start_world.ts";

const TRIALS = trialCount(3, 40);
const VICTIMS = ["starter", "hub and starter", "Postgres", "lab"] as const;
const ENV = { RATE_WRITES: "1000000" };

interface Load {
  /** Pushes that were acknowledged. */
  pushed: Set<string>;
  isOver: boolean;
}

/** Pushes one run after the other, each until it is acknowledged. */
async function pushOn(world: StartWorld, name: string, load: Load): Promise<void> {
  for (let at = 0; !load.isOver; at++) {
    const id = `${name}-${at}`;
    while (!load.isOver && !load.pushed.has(id)) {
      const isTaken = await world.push(id).then((status) => status < 300, () => false);
      if (isTaken) load.pushed.add(id);
      else await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

async function countRuns(world: StartWorld): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  for (let cursor: string | null = ""; cursor !== null;) {
    const url: string = `${world.url}/api/runs?test=t&limit=1000${cursor && `&cursor=${cursor}`}`;
    const page = await (await fetch(url)).json() as {
      items: { externalId: string }[];
      nextCursor: string | null;
    };
    for (const { externalId } of page.items) counts.set(externalId, (counts.get(externalId) ?? 0) + 1);
    cursor = page.nextCursor;
  }
  return counts;
}

test("kill -9 of any part loses and doubles no push, and all is well again", async () => {
  const seed = faultSeed();
  const world = await startWorld();
  const load: Load = { pushed: new Set(), isOver: false };
  let lost = 0;
  let doubled = 0;
  /** Kills a part, once it is there: it may just be started again. */
  const kill = async (part: RegExp) => {
    const pid = await until(() => world.processOf(part), (found) => found !== undefined);
    endProcess(pid!, "SIGKILL");
  };
  try {
    let hub: Started = await world.start({ env: ENV });
    const loads = ["one", "two"].map((name) => pushOn(world, name, load));
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
      const before = load.pushed.size;
      await until(async () => await isReady(world.port) && load.pushed.size > before, Boolean);
      console.log(`${victim}: well again, ${load.pushed.size} pushes`);
    }
    load.isOver = true;
    await Promise.all(loads);
    await until(() => isReady(world.port), Boolean);
    const counts = await countRuns(world);
    lost = [...load.pushed].filter((id) => !counts.has(id)).length;
    doubled = [...counts.values()].filter((count) => count > 1).length;
    hub.child.kill("SIGTERM");
    await hub.child.status;
    expect(await world.leftOver()).toEqual([]);
  } finally {
    load.isOver = true;
    report("killed processes", { seed, trials: TRIALS, pushes: load.pushed.size, lost, doubled });
    await world.clear();
    await world.remove();
  }
  expect({ lost, doubled }).toEqual({ lost: 0, doubled: 0 });
});
