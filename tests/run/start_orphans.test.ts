import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { until } from "../helpers/lab.ts";
import { endProcess, listProcesses } from "../helpers/processes.ts";
import { isReady, type StartWorld, startWorld } from "../helpers/start_world.ts";

let world: StartWorld;
beforeAll(async () => {
  world = await startWorld();
});
afterEach(() => world.clear());
afterAll(() => world.remove());

const isAlive = async (pid: number) => (await listProcesses()).some((one) => one.pid === pid);
const processOf = async (part: RegExp) => {
  const found = (await world.leftOver()).filter(({ command }) => part.test(command));
  // The server's own, not one for a connection.
  return found.toSorted((one, other) => one.pid - other.pid)[0]!.pid;
};
const postgres = () => processOf(/bin\/postgres -D/);

async function push(id: string): Promise<number> {
  const answer = await fetch(`${world.url}/api/results`, {
    method: "POST",
    headers: { authorization: `Bearer ${await world.token()}`, "content-type": "application/json" },
    body: JSON.stringify({
      test: "t",
      changelist: 1,
      externalId: id,
      results: [{ case: "a", outcome: "passed" }],
    }),
  });
  await answer.body?.cancel();
  return answer.status;
}

test(
  "after kill -9 of the starting program its hub ends, and the next start waits for it and takes the rest over",
  async () => {
    const first = await world.start();
    const hub = await world.hubPid(first.child.pid);
    const server = await postgres();
    expect(await push("before")).toBe(201);
    first.child.kill("SIGKILL");
    await first.child.status;
    // At once: the hub of the first is still there, and answers, or drains.
    const second = await world.start();
    await until(async () => !await isAlive(hub) && await isReady(world.port), Boolean);
    expect(await postgres()).toBe(server);
    expect(await push("after")).toBe(201);
    second.child.kill("SIGTERM");
    expect((await second.child.status).code).toBe(0);
    expect([await world.leftOver(), await world.isDatabaseUp()]).toEqual([[], false]);
  },
);

test("Postgres and the lab are started again when they are killed, and the hub goes on", async () => {
  const { child } = await world.start();
  const hub = await world.hubPid(child.pid);
  const server = await postgres();
  const lab = await processOf(/lab\/main\.ts/);
  endProcess(server, "SIGKILL");
  endProcess(lab, "SIGKILL");
  await until(async () => await isReady(world.port) && await postgres() !== server, Boolean);
  await until(() =>
    fetch(`http://127.0.0.1:${world.labPort}/jobs`).then(async (answer) => {
      await answer.body?.cancel();
      return true;
    }, () => false), Boolean);
  expect([await push("healed"), await isAlive(hub)]).toEqual([201, true]);
  child.kill("SIGTERM");
  expect((await child.status).code).toBe(0);
  expect([await world.leftOver(), await world.isDatabaseUp()]).toEqual([[], false]);
});
