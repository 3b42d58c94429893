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
const children: Deno.ChildProcess[] = [];
afterAll(async () => {
  for (const child of children) {
    try {
      child.kill("SIGTERM");
    } catch {
      // It has ended.
    }
    await child.status;
  }
  for (const name of ["lab.pid"]) {
    const pid = Number(await Deno.readTextFile(`${data}/${name}`).catch(() => ""));
    if (pid > 0) await new Deno.Command("kill", { args: [String(pid)], stderr: "null" }).output();
  }
  await Deno.remove(data, { recursive: true });
});

interface Started {
  child: Deno.ChildProcess;
  readyMs: number;
}

async function start({ at = port }: { at?: number } = {}): Promise<Started> {
  const began = performance.now();
  const child = new Deno.Command("sh", {
    args: ["run/start.sh"],
    cwd: HOME,
    env: {
      DATA_DIR: `${data}/hub`,
      PORT: String(at),
      LAB_PORT: String(labPort),
      CHUB_DENO: Deno.execPath(),
    },
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  children.push(child);
  await until(
    () =>
      fetch(`http://127.0.0.1:${at}/api/health/ready`).then(
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

/** The start of a push that waits for its second half. */
async function beginPush(): Promise<{ finish(): Promise<string> }> {
  const token = (await Deno.readTextFile(`${data}/hub/admin.token`)).trim();
  const body = JSON.stringify({ test: "slow", changelist: 7, externalId: "slow", results: [] });
  const connection = await Deno.connect({ hostname: "127.0.0.1", port });
  const send = (text: string) => connection.write(new TextEncoder().encode(text));
  await send(
    `POST /api/results HTTP/1.1\r\nhost: hub\r\nauthorization: Bearer ${token}\r\ncontent-type: application/json\r\n` +
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
  "two hubs share a data folder; the first out drains what runs, the last one out stops the database",
  async () => {
    const other = freePort();
    const first = await start();
    const second = await start({ at: other });
    const slow = await beginPush();
    // By then the push that began before them is being received, on a busy machine too.
    for (let at = 0; at < 20; at++) await fetch(`${url}/api/health/live`).then((answer) => answer.text());
    first.child.kill("SIGTERM");
    await until(() => isServed(port), (served) => !served);
    expect(await slow.finish()).toMatch(/^HTTP\/1.1 201 /);
    expect((await first.child.status).code).toBe(0);
    const answer = await fetch(`http://127.0.0.1:${other}/api/runs?test=slow`);
    expect((await answer.json()).items).toHaveLength(1);
    expect(await Deno.stat(`${data}/hub/pg/postmaster.pid`).then(() => true, () => false)).toBe(true);
    second.child.kill("SIGINT");
    expect((await second.child.status).code).toBe(0);
    expect(await Deno.stat(`${data}/hub/pg/postmaster.pid`).then(() => true, () => false)).toBe(false);
  },
  60_000,
);

test("an address in use is told in a line", async () => {
  const taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const child = new Deno.Command("sh", {
    args: ["run/start.sh"],
    cwd: HOME,
    env: {
      DATA_DIR: `${data}/hub`,
      PORT: String(taken.addr.port),
      LAB_PORT: String(labPort),
      CHUB_DENO: Deno.execPath(),
    },
    stdin: "null",
  });
  const { code, stderr } = await child.output();
  taken.close();
  expect(code).toBe(1);
  expect(new TextDecoder().decode(stderr)).toContain(
    `The hub cannot listen on 127.0.0.1:${taken.addr.port}: another process listens there. Set HOST and PORT`,
  );
}, 60_000);
