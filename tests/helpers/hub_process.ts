import { HOME } from "./app.ts";
import { freePort, until } from "./lab.ts";

/** Memory growth of a hub for other reasons, such as caches and compiled code, in MB. */
export const USUAL_MB = 120;
/** Memory per byte of a JSON body: its bytes, its text, the value, and garbage. */
export const COPIES = 5;

export interface HubProcess extends AsyncDisposable {
  port: number;
  token: string;
  /** Resident memory in MB: present and maximum. */
  residentMb(): { now: number; most: number };
  /** Number of open files and connections. */
  openFiles(): number;
  /** Its stderr so far. */
  log(): Promise<string>;
}

/** Starts the hub as in production, as a separate process with its own permission flags, on an existing database. */
export async function startHubProcess(
  databaseUrl: string,
  env: Record<string, string> = {},
): Promise<HubProcess> {
  const folder = await Deno.makeTempDir({ prefix: "chub-hub-" });
  const port = freePort();
  const hub = new Deno.Command("sh", {
    // The shell execs the hub, so the shell's pid is the hub's.
    args: ["-c", `exec sh run/start.sh 2>"${folder}/log"`],
    cwd: HOME,
    env: {
      DATABASE_URL: databaseUrl,
      VRL_URL: "http://127.0.0.1:9",
      PORT: String(port),
      DATA_DIR: `${folder}/data`,
      ...env,
    },
    stdin: "null",
    stdout: "null",
  }).spawn();
  let hasEnded = false;
  hub.status.then(() => hasEnded = true);
  const log = () => Deno.readTextFile(`${folder}/log`);
  await until(async () => {
    if (hasEnded) throw new Error(`the hub has ended: ${await log()}`);
    const answer = await fetch(`http://127.0.0.1:${port}/api/health/ready`).catch(() => undefined);
    await answer?.body?.cancel();
    return answer?.status;
  }, (status) => status === 200);
  return {
    port,
    log,
    token: (await Deno.readTextFile(`${folder}/data/admin.token`)).trim(),
    residentMb() {
      const status = Deno.readTextFileSync(`/proc/${hub.pid}/status`);
      const mb = (name: string) =>
        Math.round(Number(new RegExp(`${name}:\\s+(\\d+) kB`).exec(status)![1]) * 1024 / 1e6);
      return { now: mb("VmRSS"), most: mb("VmHWM") };
    },
    openFiles: () => [...Deno.readDirSync(`/proc/${hub.pid}/fd`)].length,
    async [Symbol.asyncDispose]() {
      if (!hasEnded) hub.kill("SIGTERM");
      await hub.status;
      await Deno.remove(folder, { recursive: true });
    },
  };
}
