import { HubError } from "../errors.ts";
import { labFlags } from "./lab/permissions.ts";

/** The embedded lab as a process of its own. */
export interface Lab {
  url: string;
  tokenFile: string;
  adopted: boolean;
  stop(): Promise<void>;
}

export interface LabProcessOptions {
  /** The project's folder, and the data folder; absolute. */
  home: string;
  data: string;
  /** host:port */
  listen: string;
}

const START_MS = 10_000;

/**
 * Starts the embedded lab under its own flags, or takes over the one that a hub before left running there.
 * @throws HubError SERVICE_UNAVAILABLE where its port is taken by something else
 */
export async function startLab({ home, data, listen }: LabProcessOptions): Promise<Lab> {
  const url = `http://${listen}`;
  const tokenFile = `${data}/lab.token`;
  const pidFile = `${data}/lab.pid`;
  const stop = async () => {
    const pid = Number(await Deno.readTextFile(pidFile).catch(() => ""));
    await Deno.remove(pidFile).catch(() => {});
    if (pid > 0) {
      await new Deno.Command("kill", { args: [String(pid)], stdout: "null", stderr: "null" }).output();
    }
  };
  if (await answers(url, tokenFile)) return { url, tokenFile, adopted: true, stop };
  const labData = `${data}/lab`;
  await Deno.mkdir(labData, { recursive: true });
  const labDir = `${home}/run/lab`;
  const drop = `${data}/drop`;
  const flags = labFlags({ listen, data: labData, drop, tokenFile, labDir, deno: Deno.execPath() });
  const log = await Deno.open(`${labData}/lab.log`, { create: true, append: true });
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--quiet",
      ...flags,
      `${labDir}/main.ts`,
      "--listen",
      listen,
      "--data",
      labData,
      "--drop",
      drop,
      "--token-file",
      tokenFile,
    ],
    cwd: home,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    detached: true,
  }).spawn();
  for (const stream of [child.stdout, child.stderr]) {
    stream.pipeTo(new WritableStream({ write: async (chunk) => void await log.write(chunk) })).catch(
      () => {},
    );
  }
  child.unref();
  await Deno.writeTextFile(pidFile, String(child.pid));
  let hasEnded = false;
  child.status.then(() => hasEnded = true);
  for (const end = performance.now() + START_MS; performance.now() < end && !hasEnded;) {
    if (await answers(url, tokenFile)) return { url, tokenFile, adopted: false, stop };
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  const lines = (await Deno.readTextFile(`${labData}/lab.log`)).trim().split("\n").slice(-5).join("\n");
  throw new HubError(
    "SERVICE_UNAVAILABLE",
    `The embedded lab does not start at ${listen}; set LAB_PORT to a free port, or VRL_URL to your lab.\n${lines}`,
  );
}

/** Whether a lab with our token answers there. */
async function answers(url: string, tokenFile: string): Promise<boolean> {
  const token = (await Deno.readTextFile(tokenFile)).trim();
  const response = await fetch(`${url}/jobs/0`, {
    method: "DELETE",
    headers: { authorization: `Bearer ${token}` },
    signal: AbortSignal.timeout(1000),
  }).catch(() => undefined);
  await response?.body?.cancel();
  return response?.status === 404;
}
