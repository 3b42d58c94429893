import { HubError } from "../errors.ts";
import { signalProcess } from "./kill.ts";
import { labFlags } from "./lab/permissions.ts";
import { isListening } from "./listening.ts";
import { portOwner } from "./port_owner.ts";

/** The embedded lab as a process of its own. */
export interface Lab {
  url: string;
  tokenFile: string;
  adopted: boolean;
  isUp(): Promise<boolean>;
  /** Ends the lab and what it runs; resolves once it has ended. */
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
/** The lab itself gives requests 2 s; a machine under load may take longer to end it. */
const STOP_MS = 20_000;

/**
 * Starts the embedded lab under its own flags, or takes over the one that runs on this data folder.
 * @throws HubError SERVICE_UNAVAILABLE if its port is taken by something else
 */
export async function startLab({ home, data, listen }: LabProcessOptions): Promise<Lab> {
  const tokenFile = `${data}/lab.token`;
  const labData = `${data}/lab`;
  await Deno.mkdir(labData, { recursive: true, mode: 0o700 });
  // An older version made it under root's umask; what jobs write is for the signed-in.
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
  let said = "";
  for (const stream of [child.stdout, child.stderr]) {
    const write = async (chunk: Uint8Array) => {
      if (said.length < 10_000) said += new TextDecoder().decode(chunk);
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
      owner === undefined ? "" : `: the port is taken by ${owner}`
    }. Set LAB_PORT to a free port, or VRL_URL to your lab.\n${said.trim().split("\n").slice(-5).join("\n")}`,
  );
}

/** The lab that runs on the folder and answers; one that is ending keeps its lock for a moment. */
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

/** The lab that runs on the folder: it locks lab.lock as long as it lives, and writes there who and where it is. */
async function findLab(labData: string): Promise<RunningLab | undefined> {
  const file = await Deno.open(`${labData}/lab.lock`, { create: true, read: true, write: true, mode: 0o600 });
  try {
    while (!await file.tryLock(true)) {
      const text = await Deno.readTextFile(`${labData}/lab.lock`);
      if (text.endsWith("\n")) return JSON.parse(text) as RunningLab;
      // It has locked the file and not written yet.
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
