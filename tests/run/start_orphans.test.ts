import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { isListening } from "../../run/listening.ts";
import { until } from "../helpers/lab.ts";
import { endProcess, listProcesses } from "../helpers/processes.ts";
import { isReady, type StartWorld, startWorld } from "../helpers/start_bench.ts";

let world: StartWorld;
beforeAll(async () => {
  world = await startWorld();
});
afterEach(() => world.clear());
afterAll(() => world.remove());

const isAlive = async (pid: number) => (await listProcesses()).some((one) => one.pid === pid);
const postgres = () => world.processOf(/bin\/postgres -D/);
const lab = () => world.processOf(/lab\/main\.ts/);

test(
  "after kill -9 of the starting program its hub ends; the next start waits for that and takes over the servers",
  async () => {
    const first = await world.start();
    const hub = await world.hubPid(first.child.pid);
    const server = await postgres();
    expect(await world.push("before")).toBe(201);
    first.child.kill("SIGKILL");
    await first.child.status;
    // Immediately, while the first hub still answers or drains.
    const second = await world.start();
    await until(async () => !await isAlive(hub) && await isReady(world.port), Boolean);
    expect(await postgres()).toBe(server);
    expect(await world.push("after")).toBe(201);
    second.child.kill("SIGTERM");
    expect((await second.child.status).code).toBe(0);
    expect([await world.leftOver(), await world.isDatabaseUp()]).toEqual([[], false]);
  },
);

test("Postgres and the lab are restarted when killed, and the hub continues", async () => {
  const { child } = await world.start();
  const hub = await world.hubPid(child.pid);
  const killed = [await postgres(), await lab()];
  for (const pid of killed) endProcess(pid!, "SIGKILL");
  const isNew = (pid: number | undefined) => pid !== undefined && !killed.includes(pid);
  await until(async () => isNew(await postgres()) && isNew(await lab()), Boolean);
  await until(
    async () => await isReady(world.port) && await isListening(`http://127.0.0.1:${world.labPort}`),
    Boolean,
  );
  expect([await world.push("healed"), await isAlive(hub)]).toEqual([201, true]);
  child.kill("SIGTERM");
  expect((await child.status).code).toBe(0);
  expect([await world.leftOver(), await world.isDatabaseUp()]).toEqual([[], false]);
});
