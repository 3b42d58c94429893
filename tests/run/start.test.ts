import { afterAll, beforeAll, expect, test } from "vitest";
import { HOME } from "../helpers/app.ts";
import { freePort, until } from "../helpers/lab.ts";

let data: string;
const port = freePort();
const labPort = freePort();
const url = `http://127.0.0.1:${port}`;
beforeAll(async () => {
  data = await Deno.makeTempDir({ prefix: "chub-start-" });
  await Deno.chmod(data, 0o755);
});
afterAll(async () => {
  for (const name of ["lab.pid"]) {
    const pid = Number(await Deno.readTextFile(`${data}/${name}`).catch(() => ""));
    if (pid > 0) await new Deno.Command("kill", { args: [String(pid)], stderr: "null" }).output();
  }
  await Deno.remove(data, { recursive: true });
});

async function start(): Promise<{ child: Deno.ChildProcess; readyMs: number }> {
  const began = performance.now();
  const child = new Deno.Command("sh", {
    args: ["run/start.sh"],
    cwd: HOME,
    env: {
      DATA_DIR: `${data}/hub`,
      PORT: String(port),
      LAB_PORT: String(labPort),
      CHUB_DENO: Deno.execPath(),
    },
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  await until(
    () =>
      fetch(`${url}/api/health/ready`).then(
        async (response) => (await response.body?.cancel(), response.ok),
        () => false,
      ),
    (up) => up,
  );
  return { child, readyMs: performance.now() - began };
}

/** The hub itself: the child of run/start.ts that listens. */
async function hubPid(parent: number): Promise<number> {
  const { stdout } = await new Deno.Command("sh", {
    args: ["-c", `for f in /proc/[0-9]*/stat; do awk '{ print $1, $4 }' "$f" 2>/dev/null; done`],
  }).output();
  const parents = new Map(
    new TextDecoder().decode(stdout).trim().split("\n").map((line) =>
      line.split(" ").map(Number) as [number, number]
    ),
  );
  const isBelow = (pid: number): boolean => pid === parent || pid > 1 && isBelow(parents.get(pid) ?? 0);
  for (const pid of parents.keys()) {
    const command = await Deno.readTextFile(`/proc/${pid}/cmdline`).catch(() => "");
    if (
      command.includes("main.ts") && command.includes("--no-remote") && command.includes(`:${port}`) &&
      isBelow(pid)
    ) return pid;
  }
  throw new Error("the hub's process was not found");
}

test(
  "starts with nothing configured, survives kill -9, takes over what is left running, drains on SIGTERM",
  async () => {
    const first = await start();
    console.log(`ready on a new database after ${Math.round(first.readyMs)} ms`);
    const token = (await Deno.readTextFile(`${data}/hub/admin.token`)).trim();
    expect((await Deno.stat(`${data}/hub/admin.token`)).mode! & 0o777).toBe(0o600);
    const push = await fetch(`${url}/api/results`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      body: JSON.stringify({
        test: "t",
        changelist: 1,
        externalId: "x",
        results: [{ case: "a", outcome: "passed" }],
      }),
    });
    expect(push.status).toBe(201);
    await push.body?.cancel();
    Deno.kill(await hubPid(first.child.pid), "SIGKILL");
    Deno.kill(first.child.pid, "SIGKILL");
    await first.child.status;
    const second = await start();
    console.log(`ready on a database that exists after ${Math.round(second.readyMs)} ms`);
    expect(second.readyMs).toBeLessThan(10_000);
    expect((await (await fetch(`${url}/api/runs?test=t`)).json()).items).toHaveLength(1);
    const began = performance.now();
    second.child.kill("SIGTERM");
    expect((await second.child.status).code).toBe(0);
    expect(performance.now() - began).toBeLessThan(10_000);
    expect(await Deno.stat(`${data}/hub/pg/postmaster.pid`).then(() => true, () => false)).toBe(false);
  },
  60_000,
);
