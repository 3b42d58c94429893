import type { Config } from "../config/config.ts";
import { ADDRESS_IN_USE, END_WITH_STDIN } from "./exit_codes.ts";
import { bracketed, hubPermissions, toFlags } from "./permissions.ts";
import { portOwner } from "./port_owner.ts";
import { waitForPredecessor } from "./predecessor.ts";
import type { StopSignal } from "./stop_signal.ts";
import { watchSources } from "./watch.ts";

export interface HubProcessOptions {
  /** The project's folder. */
  home: string;
  config: Readonly<Config>;
  /** Prepared settings, in addition to the environment. */
  env: Record<string, string>;
  /** `--demo`, `--watch`, `--migrate`, or undefined. */
  mode: string | undefined;
  stop: StopSignal;
}

const READY_MS = 120_000;

/** Runs the hub with its own flags until it ends or must stop. Returns the exit code. */
export async function runHub(options: HubProcessOptions, isFirst = true): Promise<number> {
  const { stop } = options;
  if (options.mode !== "--migrate") await waitForPredecessor(urlOf(options.config), stop);
  if (stop.isRequested) return 0;
  if (options.mode === "--watch") return await runWatched(options);
  const hub = spawnHub(options);
  stop.requested.then(() => end(hub));
  const failed = options.mode === "--demo" && !await runDemo(options, hub) && !stop.isRequested;
  if (failed) end(hub);
  const { code, signal } = await hub.status;
  // It had not begun to listen for signals.
  if (stop.isRequested && signal === "SIGTERM") return 0;
  if (code === ADDRESS_IN_USE) {
    // A hub that noticed only now that its start has ended.
    if (isFirst && await waitForPredecessor(urlOf(options.config), stop)) return await runHub(options, false);
    if (stop.isRequested) return 0;
    await explainPort(options);
  }
  return failed || code === ADDRESS_IN_USE ? 1 : code;
}

async function explainPort({ home, config }: HubProcessOptions): Promise<void> {
  const owner = await portOwner(home, config.port);
  if (owner !== undefined) console.error(`Port ${config.port} is in use by ${owner}.`);
}

/** Restarts the hub at each change of a source file. After the hub ends by itself, waits for the next change. */
async function runWatched(options: HubProcessOptions): Promise<number> {
  const watcher = watchSources(options.home);
  const stopped = options.stop.requested.then(() => "stop" as const);
  try {
    while (true) {
      const hub = spawnHub(options);
      const ended = hub.status.then(() => "ended" as const);
      const change = watcher.next();
      let next = await Promise.race([stopped, ended, change]);
      if (next === "ended") {
        if ((await hub.status).code === ADDRESS_IN_USE) await explainPort(options);
        console.log("The hub has ended; it restarts when a source file changes.");
        next = await Promise.race([stopped, change]);
      }
      if (next !== "stop") console.log(`${next} has changed; restarting the hub.`);
      end(hub);
      const { code, signal } = await hub.status;
      if (next === "stop") return signal === "SIGTERM" ? 0 : code;
    }
  } finally {
    watcher.close();
  }
}

function end(child: Deno.ChildProcess): void {
  try {
    child.kill("SIGTERM");
  } catch {
    // It has ended.
  }
}

/** Starts the hub in its own session: Ctrl-C reaches only this program, and submissions continue during the drain. */
function spawnHub({ home, config, env, mode }: HubProcessOptions): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      ...toFlags(hubPermissions(config)),
      "main.ts",
      ...(mode === "--migrate" ? ["--migrate"] : []),
      END_WITH_STDIN,
    ],
    cwd: home,
    env,
    detached: true,
    // The hub ends when this pipe closes, so that it never outlives this process and keeps the port.
    stdin: "piped",
    stdout: "inherit",
    stderr: "inherit",
  }).spawn();
}

/** Runs the demo against the hub once it is ready. Returns whether it succeeded. */
async function runDemo(options: HubProcessOptions, hub: Deno.ChildProcess): Promise<boolean> {
  const { home, config, stop } = options;
  const url = urlOf(config);
  const ending = new AbortController();
  Promise.race([hub.status, stop.requested]).then(() => ending.abort());
  if (!await isReady(url, ending.signal)) return false;
  const drop = config.dropRoots.find((root) => root.url.startsWith("file:"));
  const demo = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--quiet",
      "--no-prompt",
      "--no-remote",
      "--cached-only",
      `--allow-net=${new URL(url).host}`,
      `--allow-read=${config.dataDir},${config.adminTokenFile}`,
      `--allow-write=${config.dataDir}/drop`,
      "--allow-env=CHUB_URL,CHUB_TOKEN_FILE,CHUB_DROP",
      "run/demo.ts",
    ],
    cwd: home,
    env: {
      CHUB_URL: url,
      CHUB_TOKEN_FILE: config.adminTokenFile,
      CHUB_DROP: drop === undefined
        ? `${config.dataDir}/drop`
        : decodeURIComponent(new URL(drop.url).pathname),
    },
    stdin: "null",
    stdout: "inherit",
    stderr: "inherit",
  }).spawn();
  ending.signal.addEventListener("abort", () => end(demo));
  return (await demo.status).success;
}

/** URL by which this machine reaches the hub, which may listen on all addresses. */
function urlOf({ host, port }: Readonly<Config>): string {
  const name = host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "::1" : host;
  return `http://${bracketed(name)}:${port}`;
}

async function isReady(url: string, signal: AbortSignal): Promise<boolean> {
  for (const limit = performance.now() + READY_MS; performance.now() < limit;) {
    const answer = await fetch(`${url}/api/health/ready`, { signal }).catch(() => undefined);
    if (signal.aborted) return false;
    await answer?.body?.cancel();
    if (answer?.ok) return true;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  console.error(`The hub was not ready within ${READY_MS / 1000} s.`);
  return false;
}
