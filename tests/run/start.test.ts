import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { HOME } from "../helpers/app.ts";
import { freePort, until } from "../helpers/lab.ts";
import { endProcess, listProcesses } from "../helpers/processes.ts";
import { findProgram, requires } from "../helpers/require.ts";
import { type StartOptions, type StartWorld, startWorld } from "../helpers/start_bench.ts";

let world: StartWorld;
let data: string;
let port: number;
let labPort: number;
let url: string;
beforeAll(async () => {
  world = await startWorld();
  ({ data, port, labPort, url } = world);
});
// Removes what a failed test left.
afterEach(() => world.clear());
afterAll(() => world.remove());

const spawn = (options?: StartOptions) => world.spawn(options);
const start = (options?: StartOptions) => world.start(options);
const leftOver = () => world.leftOver();
const isDatabaseUp = () => world.isDatabaseUp();

function expectFree(...ports: number[]): void {
  for (const each of ports) Deno.listen({ hostname: "127.0.0.1", port: each }).close();
}

test(
  "starts without configuration, survives kill -9, takes over running servers, and leaves nothing behind when stopped",
  async () => {
    const first = await start();
    console.log(`ready on a new database after ${Math.round(first.readyMs)} ms`);
    expect((await Deno.stat(`${data}/hub/admin.token`)).mode! & 0o777).toBe(0o600);
    expect(await world.push("x")).toBe(201);
    endProcess(await world.hubPid(first.child.pid), "SIGKILL");
    endProcess(first.child.pid, "SIGKILL");
    await first.child.status;
    const second = await start();
    console.log(`ready on a database that exists after ${Math.round(second.readyMs)} ms`);
    expect((await (await fetch(`${url}/api/runs?test=t`)).json()).items).toHaveLength(1);
    second.child.kill("SIGTERM");
    expect((await second.child.status).code).toBe(0);
    expect([await leftOver(), await isDatabaseUp()]).toEqual([[], false]);
    expectFree(port, labPort);
  },
);

test("if the starting program is killed, its hub ends, and the next start works", async () => {
  const first = await start();
  endProcess(first.child.pid, "SIGKILL");
  await first.child.status;
  await until(() => listProcesses(), (all) => !all.some(world.isHub));
  const second = await start();
  second.child.kill("SIGTERM");
  expect((await second.child.status).code).toBe(0);
  expect(await leftOver()).toEqual([]);
}, 180_000);

test.each(["SIGTERM", "SIGINT", "SIGHUP"] as const)(
  "%s while it starts leaves nothing behind",
  async (signal) => {
    const child = spawn();
    const errors = new Response(child.stderr).text();
    // From the moment at which the first server runs on.
    await until(
      leftOver,
      (processes) => processes.some(({ command }) => /postgres|lab\/main\.ts/.test(command)),
    );
    child.kill(signal);
    expect([(await child.status).code, await errors]).toEqual([0, expect.not.stringContaining("error")]);
    expect([await leftOver(), await isDatabaseUp()]).toEqual([[], false]);
    expectFree(port, labPort);
  },
);

test("closing the terminal stops the hub", async () => {
  const { child } = await start();
  child.kill("SIGHUP");
  expect((await child.status).code).toBe(0);
  expect(await leftOver()).toEqual([]);
});

const onLinux = requires("/proc", Deno.build.os === "linux", "run it on Linux");
onLinux("a terminal that closes leaves a hub that nohup started running", async () => {
  const { child } = await start({ by: `trap "" HUP; exec sh run/start.sh` });
  child.kill("SIGHUP");
  for (let at = 0; at < 5; at++) expect(await isServed(port)).toBe(true);
  child.kill("SIGTERM");
  expect((await child.status).code).toBe(0);
});

/** Sends the first half of a push, and the second half on `finish`. */
async function beginPush(): Promise<{ finish(): Promise<string> }> {
  const token = await world.token();
  const body = JSON.stringify({ test: "slow", changelist: 7, externalId: "slow", results: [] });
  const connection = await Deno.connect({ hostname: "127.0.0.1", port });
  const send = (text: string) => connection.write(new TextEncoder().encode(text));
  await send(
    `POST /api/results HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${token}\r\ncontent-type: application/json\r\n` +
      `content-length: ${body.length}\r\nconnection: close\r\n\r\n${body.slice(0, 10)}`,
  );
  return {
    async finish() {
      await send(body.slice(10));
      return await new Response(connection.readable).text();
    },
  };
}

const isServed = (at: number) =>
  fetch(`http://127.0.0.1:${at}/api/health/live`).then(async (answer) => {
    await answer.body?.cancel();
    return answer.ok;
  }, () => false);

test(
  "two hubs share a data folder; the first to stop drains its requests, the last stops the database",
  async () => {
    const other = freePort();
    const first = await start();
    // Another LAB_PORT makes no difference: the hub takes over the lab that runs on the folder.
    const second = await start({ at: other, env: { LAB_PORT: String(freePort()) } });
    const slow = await beginPush();
    // By now the hub is receiving the push that began earlier, even on a busy machine.
    for (let at = 0; at < 20; at++) await fetch(`${url}/api/health/live`).then((answer) => answer.text());
    first.child.kill("SIGTERM");
    await until(() => isServed(port), (served) => !served);
    expect(await slow.finish()).toMatch(/^HTTP\/1.1 201 /);
    expect((await first.child.status).code).toBe(0);
    const answer = await fetch(`http://127.0.0.1:${other}/api/runs?test=slow`);
    expect((await answer.json()).items).toHaveLength(1);
    expect(await isDatabaseUp()).toBe(true);
    second.child.kill("SIGINT");
    expect((await second.child.status).code).toBe(0);
    expect([await leftOver(), await isDatabaseUp()]).toEqual([[], false]);
  },
);

test.each(["PORT", "LAB_PORT"])("a %s in use is reported with the process that has it", async (name) => {
  const taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const child = spawn({ env: { [name]: String(taken.addr.port) } });
  const errors = await new Response(child.stderr).text();
  const { code } = await child.status;
  taken.close();
  expect(code).toBe(1);
  const isLinux = Deno.build.os === "linux";
  expect(errors).toContain(`127.0.0.1:${taken.addr.port}`);
  expect(errors).toContain(name);
  if (isLinux) expect(errors).toContain(`is in use by process ${Deno.pid} (`);
  expect([await leftOver(), await isDatabaseUp()]).toEqual([[], false]);
});

test("finds a Deno that was started by its path and is not on PATH", async () => {
  const bin = `${data}/a bin`;
  await Deno.mkdir(bin);
  await Deno.symlink(Deno.execPath(), `${bin}/deno`);
  const path = `${data}/tools`;
  await Deno.mkdir(path);
  for (const name of ["sh", "dirname", "sed", "readlink", "tr", "sleep"]) {
    await Deno.symlink(findProgram(name), `${path}/${name}`);
  }
  const { code, stdout, stderr } = await new Deno.Command(`${bin}/deno`, {
    args: ["task", "permissions"],
    cwd: HOME,
    clearEnv: true,
    env: { HOME: data, PATH: path, CHUB_DENO: "", DENO_DIR: `${data}/deno` },
  }).output();
  expect([code, new TextDecoder().decode(stderr)]).toEqual([0, expect.any(String)]);
  expect(new TextDecoder().decode(stdout)).toContain("--allow-net=127.0.0.1:8000");
});

test.each([
  [{ LAB_PORT: "abc" }, "", "LAB_PORT must be 1 to 65535, got abc."],
  [{ PORT: "0" }, " --demo", "PORT must not be 0"],
])("%j is refused before anything is started", async (env, mode, message) => {
  const child = spawn({ env: { DATA_DIR: `${data}/refused`, ...env }, by: `exec sh run/start.sh${mode}` });
  const errors = await new Response(child.stderr).text();
  expect([(await child.status).code, errors]).toEqual([1, expect.stringContaining(message)]);
  expect(await Deno.stat(`${data}/refused`).then(() => true, () => false)).toBe(false);
});

test("an unwritable data folder is reported with advice", async () => {
  const child = spawn({ env: { DATA_DIR: "/proc/chub" } });
  const errors = await new Response(child.stderr).text();
  expect((await child.status).code).toBe(1);
  expect(errors).toMatch(/\/proc\/chub|DATA_DIR/);
});

test("a demo whose jobs are refused ends at once with the job's reason", async () => {
  await Deno.writeTextFile(`${data}/refuse`, "#!/bin/sh\necho 'no such pool: linux' >&2\nexit 1\n", {
    mode: 0o755,
  });
  const child = spawn({
    env: { DATA_DIR: `${data}/demo`, VRLSUBMIT_PATH: `${data}/refuse` },
    by: "exec sh run/start.sh --demo",
  });
  const errors = await new Response(child.stderr).text();
  expect((await child.status).code).toBe(1);
  expect(errors).toMatch(/The demo failed: job \d+ \(changelist \d+\) is failed: .*no such pool: linux/);
  expect(await leftOver()).toEqual([]);
});

test("a path that Deno's flags cannot express is rejected before anything is started", async () => {
  const child = spawn({ env: { DATA_DIR: `${data}/a,b` } });
  const errors = await new Response(child.stderr).text();
  expect([(await child.status).code, errors]).toEqual([
    1,
    expect.stringMatching(/must not contain a comma.*a,b/),
  ]);
  expect(await Deno.stat(`${data}/a,b`).then(() => true, () => false)).toBe(false);
});
