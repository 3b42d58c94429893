import type { BenchDatabase } from "./database.ts";
import { freePort } from "./load.ts";

export interface BenchHub {
  url: string;
  token: string;
  /** Calls a route with JSON as the admin. @throws Error with the body of an unsuccessful answer */
  // deno-lint-ignore no-explicit-any -- a benchmark knows the shape of the answer
  ask(method: string, path: string, body?: unknown): Promise<any>;
  /** Resident memory of the hub's process, in MB: now, and the maximum so far. */
  residentMb(): { now: number; most: number };
  stop(): Promise<void>;
}

/** Starts a hub on a benchmark's database as in operation: a process of its own with its own permission flags. */
export async function startHub(
  { url, folder }: BenchDatabase,
  env: Record<string, string> = {},
): Promise<BenchHub> {
  const port = freePort();
  const address = `http://127.0.0.1:${port}`;
  const data = env.DATA_DIR ?? `${folder}/data`;
  const hub = new Deno.Command("sh", {
    args: ["run/start.sh"],
    cwd: import.meta.dirname!.replace(/\/bench$/, ""),
    env: {
      DATABASE_URL: url,
      // Nothing listens there; a benchmark submits no jobs.
      VRL_URL: "http://127.0.0.1:9",
      PORT: String(port),
      DATA_DIR: data,
      RATE_WRITES: "1000000",
      RATE_READS: "100000000",
      LOG_LEVEL: "error",
      ...env,
    },
    stdout: "null",
    stderr: "inherit",
  }).spawn();
  const stop = async () => {
    hub.kill("SIGTERM");
    await hub.status;
  };
  const until = Date.now() + 60_000;
  while (!await fetch(`${address}/api/health/ready`).then((response) => response.ok, () => false)) {
    if (Date.now() > until) {
      await stop();
      throw new Error("the hub is not ready after 60 s");
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  const token = (await Deno.readTextFile(`${data}/admin.token`)).trim();
  return {
    url: address,
    token,
    async ask(method, path, body) {
      const response = await fetch(`${address}/api/${path}`, {
        method,
        headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      if (!response.ok) throw new Error(await response.text());
      return await response.json();
    },
    residentMb() {
      const status = Deno.readTextFileSync(`/proc/${hub.pid}/status`);
      const mb = (name: string) =>
        Math.round(Number(new RegExp(`${name}:\\s+(\\d+) kB`).exec(status)![1]) * 1024 / 1e6);
      return { now: mb("VmRSS"), most: mb("VmHWM") };
    },
    stop,
  };
}
