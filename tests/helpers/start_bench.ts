import { HOME } from "./app.ts";
import { freePort, until } from "./lab.ts";
import { endProcess, listProcesses, type ProcessInfo } from "./processes.ts";

export interface StartOptions {
  at?: number;
  env?: Record<string, string>;
  /** A line of shell. */
  by?: string;
}

export interface Started {
  child: Deno.ChildProcess;
  readyMs: number;
}

/** Starts hubs with run/start.sh on a separate data folder and separate ports. */
export interface StartWorld {
  /** Folder of all files; the hub's data folder is `hub` in it. */
  data: string;
  port: number;
  labPort: number;
  url: string;
  spawn(options?: StartOptions): Deno.ChildProcess;
  /** Starts a hub and waits until it is ready. */
  start(options?: StartOptions): Promise<Started>;
  /** Whether a process is a hub on the port. */
  isHub(process: ProcessInfo): boolean;
  /** The hub's process: the descendant of `parent` that listens on the port. */
  hubPid(parent: number): Promise<number>;
  /** The oldest process with a matching command line; for Postgres the server, not a connection's process. */
  processOf(part: RegExp): Promise<number | undefined>;
  /** Pushes one result with its own id. Returns the status. */
  push(id: string): Promise<number>;
  /** Processes with the data folder in their command line, except this test's. */
  leftOver(): Promise<ProcessInfo[]>;
  isDatabaseUp(): Promise<boolean>;
  token(): Promise<string>;
  /** Ends processes that a failed test left. */
  clear(): Promise<void>;
  remove(): Promise<void>;
}

export async function startWorld(): Promise<StartWorld> {
  const data = await Deno.makeTempDir({ prefix: "chub-start-" });
  await Deno.chmod(data, 0o755);
  const port = freePort();
  const labPort = freePort();
  let children: Deno.ChildProcess[] = [];

  async function leftOver() {
    return (await listProcesses()).filter(({ pid, command }) => pid !== Deno.pid && command.includes(data));
  }

  function spawn({ at = port, env = {}, by = "exec sh run/start.sh" }: StartOptions = {}) {
    const child = new Deno.Command("sh", {
      args: ["-c", by],
      cwd: HOME,
      env: {
        DATA_DIR: `${data}/hub`,
        PORT: String(at),
        LAB_PORT: String(labPort),
        CHUB_DENO: Deno.execPath(),
        ...env,
      },
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    children.push(child);
    return child;
  }

  function isHub({ command }: ProcessInfo): boolean {
    return command.includes("main.ts") && command.includes("--no-remote") && command.includes(`:${port}`);
  }

  const url = `http://127.0.0.1:${port}`;
  const token = async () => (await Deno.readTextFile(`${data}/hub/admin.token`)).trim();
  return {
    data,
    port,
    labPort,
    url,
    spawn,
    isHub,
    leftOver,
    async start(options = {}) {
      const began = performance.now();
      const child = spawn(options);
      child.stderr.pipeTo(new WritableStream()).catch(() => {});
      await until(() => isReady(options.at ?? port), Boolean);
      return { child, readyMs: performance.now() - began };
    },
    async hubPid(parent) {
      const processes = await listProcesses();
      const parents = new Map(processes.map((one) => [one.pid, one.parent]));
      const isBelow = (pid: number): boolean => pid === parent || pid > 1 && isBelow(parents.get(pid) ?? 0);
      const hub = processes.find((each) => isHub(each) && isBelow(each.pid));
      if (hub === undefined) throw new Error("the hub's process was not found");
      return hub.pid;
    },
    isDatabaseUp: () => Deno.stat(`${data}/hub/pg/postmaster.pid`).then(() => true, () => false),
    token,
    async processOf(part) {
      const found = (await leftOver()).filter(({ command }) => part.test(command));
      return found.toSorted((one, other) => one.pid - other.pid)[0]?.pid;
    },
    async push(id) {
      const answer = await fetch(`${url}/api/results`, {
        method: "POST",
        headers: {
          authorization: `Bearer ${await token()}`,
          "content-type": "application/json",
          "idempotency-key": id,
        },
        body: JSON.stringify({
          test: "t",
          changelist: 1,
          externalId: id,
          mode: "append",
          results: [{ case: "a", outcome: "passed" }],
        }),
      });
      await answer.body?.cancel();
      return answer.status;
    },
    async clear() {
      for (const child of children) {
        try {
          child.kill("SIGTERM");
        } catch {
          // The process has ended.
        }
        await child.status;
      }
      children = [];
      for (const { pid } of await leftOver()) endProcess(pid, "SIGKILL");
    },
    remove: () => Deno.remove(data, { recursive: true }),
  };
}

export function isReady(port: number): Promise<boolean> {
  return fetch(`http://127.0.0.1:${port}/api/health/ready`).then(
    async (response) => (await response.body?.cancel(), response.ok),
    () => false,
  );
}
