import { HubError } from "../errors.ts";
import { signalProcess } from "./kill.ts";
import { labFlags } from "./lab/permissions.ts";
import { isListening } from "./listening.ts";
import { portOwner } from "./port_owner.ts";

/** The embedded lab as a separate process. */
export interface Lab {
  url: string;
  tokenFile: string;
  adopted: boolean;
  isUp(): Promise<boolean>;
  /** Ends the lab and its jobs; resolves once the lab has ended. */
  stop(): Promise<void>;
}

export interface LabProcessOptions {
  /** The project's folder, and the data folder; absolute. */
  home: string;
  data: string;
  /** host:port */
  listen: string;
}

const START_MS = 60_000;
/** Time from SIGTERM to SIGKILL. The lab drains for 2 s, but may take longer on a machine under load. */
const STOP_MS = 20_000;

/**
 * Starts the embedded lab with its own flags, or takes over a lab that runs on this data folder.
 * @throws HubError SERVICE_UNAVAILABLE if its port is in use by another program
 */
export async function startLab({ home, data, listen }: LabProcessOptions): Promise<Lab> {
  const tokenFile = `${data}/lab.token`;
  const labData = `${data}/lab`;
  await Deno.mkdir(labData, { recursive: true, mode: 0o700 });
  // Job output must stay private, and an older version created the folder under root's umask.
  await Deno.chmod(labData, 0o700);
  const stop = () => stopLab(labData);
  const running = await findServing(labData, tokenFile);
  if (running !== undefined) {
    const url = `http://${running.listen}`;
    return { url, tokenFile, adopted: true, isUp: () => isListening(url), stop };
  }
  const url = `http://${listen}`;
  const labDir = `${home}/run/lab`;
  const drop = `${data}/drop`;
  const drops = [...new Set([drop, await Deno.realPath(drop)])];
  const flags = labFlags({ listen, data: labData, drops, tokenFile, labDir, deno: Deno.execPath() });
  const log = await Deno.open(`${labData}/lab.log`, { create: true, append: true, mode: 0o600 });
  await Deno.chmod(`${labData}/lab.log`, 0o600);
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "--quiet", ...flags, `${labDir}/main.ts`],
      ...["--listen", listen, "--data", labData, "--drop", drop, "--token-file", tokenFile],
    ],
    cwd: home,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    detached: true,
  }).spawn();
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    const write = async (chunk: Uint8Array) => {
      if (output.length < 10_000) output += new TextDecoder().decode(chunk);
      await log.write(chunk);
    };
    stream.pipeTo(new WritableStream({ write })).catch(() => {});
  }
  child.unref();
  let hasEnded = false;
  child.status.then(() => hasEnded = true);
  for (const end = performance.now() + START_MS; performance.now() < end && !hasEnded;) {
    if (await answers(url, tokenFile)) {
      return { url, tokenFile, adopted: false, isUp: () => isListening(url), stop };
    }
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  if (!hasEnded) await stop();
  const owner = await portOwner(home, listen.slice(listen.lastIndexOf(":") + 1));
  throw new HubError(
    "SERVICE_UNAVAILABLE",
    `The embedded lab cannot listen on ${listen}${
      owner === undefined ? "" : `: the port is in use by ${owner}`
    }. Set LAB_PORT to a free port, or VRL_URL to your lab.\n${
      output.trim().split("\n").slice(-5).join("\n")
    }`,
  );
}

/** The lab that runs on the folder and answers. Waits, because a lab that is ending keeps its lock for a moment. */
async function findServing(labData: string, tokenFile: string): Promise<RunningLab | undefined> {
  const end = performance.now() + START_MS;
  for (let lab; (lab = await findLab(labData)) !== undefined;) {
    if (await answers(`http://${lab.listen}`, tokenFile)) return lab;
    if (performance.now() > end) {
      throw new HubError(
        "SERVICE_UNAVAILABLE",
        `The embedded lab (process ${lab.pid}) runs on ${labData} and does not answer on ${lab.listen}. End that process.`,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  return undefined;
}

interface RunningLab {
  pid: number;
  listen: string;
}

/** The lab that runs on the folder. It locks lab.lock while it lives, and writes its pid and address there. */
async function findLab(labData: string): Promise<RunningLab | undefined> {
  const file = await Deno.open(`${labData}/lab.lock`, { create: true, read: true, write: true, mode: 0o600 });
  try {
    while (!await file.tryLock(true)) {
      const text = await Deno.readTextFile(`${labData}/lab.lock`);
      if (text.endsWith("\n")) return JSON.parse(text) as RunningLab;
      // The lab has locked the file but not written it yet.
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
    return undefined;
  } finally {
    file.close();
  }
}

async function stopLab(labData: string): Promise<void> {
  const lab = await findLab(labData);
  if (lab === undefined) return;
  const killAt = performance.now() + STOP_MS;
  for (let signal: Deno.Signal | undefined = "SIGTERM"; await findLab(labData) !== undefined;) {
    if (performance.now() > killAt) signal = "SIGKILL";
    if (signal !== undefined) signalProcess(lab.pid, signal);
    signal = undefined;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

/** Whether a lab with our token answers at `url`. */
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
