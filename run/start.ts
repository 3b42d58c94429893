import { type Config, loadConfig } from "../config/config.ts";
import { settingsHelp } from "../config/help.ts";
import { HubError, reasonOf } from "../errors.ts";
import { openDataLock } from "./data_lock.ts";
import { startEmbedded } from "./embedded.ts";
import { ensureGuard } from "./guard_launcher.ts";
import { runHub } from "./hub_process.ts";
import { startLab } from "./lab_process.ts";
import { type Part, supervise } from "./supervise.ts";
import { allocatorEnv, hubPermissions, toFlags } from "./permissions.ts";
import { IGNORE_HANGUP, listenForStop } from "./stop_signal.ts";

/** Prepares what is not configured, starts the hub with its own flags, and stops what it started. See run/start.sh. */
const home = import.meta.dirname!.replace(/\/run$/, "");
const mode = Deno.args[0];
const env = Deno.env.toObject();

function settings(extra: Record<string, string> = {}): Readonly<Config> {
  return loadConfig({ ...env, ...extra }, home);
}

/** Creates a token file if it does not exist: `prefix` and 256 random bits, readable by this user only. */
async function ensureToken(path: string, prefix: string): Promise<void> {
  if (await Deno.stat(path).then(() => true, () => false)) return;
  const bits = crypto.getRandomValues(new Uint8Array(32)).toHex();
  await Deno.mkdir(path.slice(0, path.lastIndexOf("/")), { recursive: true });
  await Deno.writeTextFile(path, `${prefix}${bits}\n`, { mode: 0o600, createNew: true }).catch((error) => {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
  });
}

/** Creates the data folder. A folder of another owner, such as a container's volume, keeps its mode. */
async function prepareFolders(config: Readonly<Config>): Promise<void> {
  const data = config.dataDir;
  await Deno.mkdir(data, { recursive: true });
  // The embedded Postgres may run as another user, who must be able to traverse the folder.
  await Deno.chmod(data, Deno.uid() === 0 ? 0o711 : 0o700).catch((error) => {
    if (!(error instanceof Deno.errors.PermissionDenied)) throw error;
  });
  await ensureToken(config.adminTokenFile, "chub_admin_");
  await Deno.mkdir(`${data}/drop`, { recursive: true });
}

function printPermissions(config: Readonly<Config>): void {
  const lines = hubPermissions(config).map(({ flag, values, reason }) =>
    `--allow-${flag}=${values.join(",")}\n    ${reason}`
  );
  if (config.databaseUrl === undefined) {
    lines.push(
      "--allow-net, --allow-read, --allow-write of the embedded database's socket\n    the database, once started",
    );
  }
  if (config.vrlUrl === undefined) {
    lines.push(
      `--allow-net=127.0.0.1:${labPort()}\n--allow-read=${config.dataDir}/lab.token\n    the embedded lab, once started`,
    );
  }
  console.log(lines.join("\n"));
}

/** @throws HubError BAD_REQUEST */
function labPort(): string {
  const port = env.LAB_PORT || "8600";
  if (!/^\d{1,5}$/.test(port) || Number(port) < 1 || Number(port) > 65_535) {
    throw new HubError("BAD_REQUEST", `LAB_PORT must be 1 to 65535, got ${port}.`);
  }
  return port;
}

interface Prepared {
  /** Settings of the hub in addition to the environment's. */
  extra: Record<string, string>;
  /** Lines for the operator about what the hub uses. */
  lines: string[];
}

/** Starts, or takes over if running, each server that is not configured, and adds it to `parts`. */
async function prepare(asked: Readonly<Config>, parts: Part[]): Promise<Prepared> {
  const data = asked.dataDir;
  const extra: Record<string, string> = {};
  const lines: string[] = [];
  const running = (isAdopted: boolean) => isAdopted ? ", already running" : "";
  if (asked.databaseUrl === undefined) {
    const start = () => startEmbedded({ dataDir: `${data}/pg`, home });
    const database = await start();
    parts.push({ ...database, name: "The embedded Postgres", start });
    extra.DATABASE_URL = database.url;
    lines.push(
      `database  embedded Postgres 18 in ${database.dataDir}${
        running(database.adopted)
      } (DATABASE_URL is not set)`,
    );
    if (database.moved !== undefined) lines.push(`          ${database.moved}`);
  } else lines.push("database  from DATABASE_URL");
  if (asked.vrlUrl === undefined && mode !== "--migrate") {
    await ensureToken(`${data}/lab.token`, "chub_lab_");
    const lab = await startLab({ home, data, listen: `127.0.0.1:${labPort()}` });
    // Restarts it at the same address, which the hub already uses.
    const start = () => startLab({ home, data, listen: new URL(lab.url).host });
    parts.push({ ...lab, name: "The embedded lab", start });
    Object.assign(extra, {
      VRL_URL: lab.url,
      VRL_TOKEN_FILE: lab.tokenFile,
      VRL_NOTE_SEARCH: "authoritative",
    });
    lines.push(`lab       embedded, at ${lab.url}${running(lab.adopted)} (VRL_URL is not set)`);
  } else lines.push("lab       from VRL_URL");
  return { extra, lines };
}

function wait(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener("abort", end);
  });
}

async function stopAll(parts: Part[]): Promise<void> {
  for (const part of parts.reverse()) {
    await part.stop().catch((error) => console.error(reasonOf(error)));
  }
}

const USAGE = `usage: run/start.sh [--demo | --watch | --migrate | --permissions | --help]

Runs the hub, with an embedded Postgres and lab unless DATABASE_URL and VRL_URL are set.
  --demo         shows the main job on made-up builds, then keeps serving
  --watch        restarts the hub when a source file changes
  --migrate      brings the database's schema up to date and stops
  --permissions  prints the permission flags of the hub, with their reasons
`;

async function main(): Promise<number> {
  if (mode === "--help") {
    console.log(`${USAGE}\n${settingsHelp()}`);
    return 0;
  }
  const asked = settings();
  if (mode === "--permissions") {
    printPermissions(asked);
    return 0;
  }
  if (mode === "--flags") {
    console.log(toFlags(hubPermissions(asked)).join("\n"));
    return 0;
  }
  // Rejects invalid settings before anything is started.
  toFlags(hubPermissions(asked));
  labPort();
  if (mode === "--demo" && asked.port === 0) {
    throw new HubError(
      "BAD_REQUEST",
      "The demo sends requests to PORT, so PORT must not be 0 (any free port); set PORT to a free port.",
    );
  }
  await prepareFolders(asked);
  if (mode === "--tokens") {
    await ensureGuard(asked);
    return 0;
  }
  const stop = listenForStop({ ignoreHangup: env[IGNORE_HANGUP] !== undefined });
  const lock = await openDataLock(asked.dataDir, () => {
    console.error(`Waiting for another start or stop of a hub on ${asked.dataDir}.`);
  });
  const parts: Part[] = [];
  let endSupervision = () => Promise.resolve();
  try {
    const { extra, lines } = await lock.alone(async () => {
      await lock.join();
      return await prepare(asked, parts);
    });
    const config = settings(extra);
    await ensureGuard(config);
    for (const { name, url } of config.dropRoots) {
      lines.push(`drop      ${name === url ? "" : `${name}: `}${url}`);
    }
    lines.push(`token     ${config.adminTokenFile} (for writes: Authorization: Bearer …)`);
    if (mode !== "--migrate") console.log(`C Hub uses\n${lines.map((line) => `  ${line}`).join("\n")}`);
    endSupervision = supervise(parts.map((part) => ({ ...part, start: () => lock.alone(part.start) })), {
      wait,
      print: (line) => console.error(line),
    });
    return await runHub({ home, config, env: { ...allocatorEnv(env), ...extra }, mode, stop });
  } finally {
    await endSupervision();
    await lock.alone(async () => {
      if (await lock.leave()) await stopAll(parts);
    });
  }
}

try {
  Deno.exit(await main());
} catch (error) {
  console.error(reasonOf(error));
  if (error instanceof Deno.errors.PermissionDenied || /Read-only file system/.test(reasonOf(error))) {
    console.error(
      "This user may not write there, for example because another user started the hub before. Start it as that user, or set " +
        "DATA_DIR to another folder.",
    );
  }
  Deno.exit(1);
}
