import type { BenchDatabase } from "./database.ts";
import { freePort } from "./load.ts";

export interface BenchHub {
  url: string;
  token: string;
  /** Resident memory of the hub's process, in MB: now, and the most it ever was. */
  residentMb(): { now: number; most: number };
  stop(): Promise<void>;
}

/** A hub on a benchmark's database, started as ops start it, in a process of its own and under its own flags. */
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
      // Nobody is there; a benchmark submits no jobs.
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
  return {
    url: address,
    token: (await Deno.readTextFile(`${data}/admin.token`)).trim(),
    residentMb() {
      const status = Deno.readTextFileSync(`/proc/${hub.pid}/status`);
      const mb = (name: string) =>
        Math.round(Number(new RegExp(`${name}:\\s+(\\d+) kB`).exec(status)![1]) * 1024 / 1e6);
      return { now: mb("VmRSS"), most: mb("VmHWM") };
    },
    stop,
  };
}
