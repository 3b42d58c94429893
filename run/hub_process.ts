import type { Config } from "../config.ts";
import { hubPermissions, toFlags } from "./permissions.ts";
import { watchSources } from "./watch.ts";

export interface HubProcessOptions {
  /** The project's folder. */
  home: string;
  config: Readonly<Config>;
  /** What was prepared, beside what the environment says. */
  env: Record<string, string>;
  /** `--demo`, `--watch`, `--migrate`, or undefined. */
  mode: string | undefined;
}

const READY_MS = 30_000;

/** Runs the hub under its own flags until it ends, and passes signals on. Returns the exit code. */
export async function runHub(options: HubProcessOptions): Promise<number> {
  const running = new Set<Deno.ChildProcess>();
  const stopping = Promise.withResolvers<"stop">();
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    Deno.addSignalListener(signal, () => {
      stopping.resolve("stop");
      for (const child of running) end(child);
    });
  }
  const start = (child: Deno.ChildProcess): Deno.ChildProcess => {
    running.add(child);
    child.status.then(() => running.delete(child));
    return child;
  };
  if (options.mode === "--watch") return await runWatched(options, start, stopping.promise);
  const hub = start(spawnHub(options));
  const failed = options.mode === "--demo" && !await runDemo(options, hub, start);
  if (failed) end(hub);
  const { code } = await hub.status;
  return failed ? 1 : code;
}

type Start = (child: Deno.ChildProcess) => Deno.ChildProcess;

/** Starts the hub anew at each change of a source file; one that ends by itself waits for the next. */
async function runWatched(
  options: HubProcessOptions,
  start: Start,
  stopped: Promise<"stop">,
): Promise<number> {
  const watcher = watchSources(options.home);
  try {
    while (true) {
      const hub = start(spawnHub(options));
      const ended = hub.status.then(() => "ended" as const);
      const change = watcher.next();
      let next = await Promise.race([stopped, ended, change]);
      if (next === "ended") {
        console.log("The hub has ended; it starts again when a source file changes.");
        next = await Promise.race([stopped, change]);
      }
      if (next !== "stop") console.log(`${next} has changed: the hub starts again.`);
      end(hub);
      const { code } = await hub.status;
      if (next === "stop") return code;
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

function spawnHub({ home, config, env, mode }: HubProcessOptions): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      ...toFlags(hubPermissions(config)),
      "main.ts",
      ...(mode === "--migrate" ? ["--migrate"] : []),
    ],
    cwd: home,
    env,
    stdin: "null",
    stdout: "inherit",
    stderr: "inherit",
  }).spawn();
}

/** Runs the demo against the hub, once it is ready. Returns whether all went well. */
async function runDemo(
  { home, config }: HubProcessOptions,
  hub: Deno.ChildProcess,
  start: Start,
): Promise<boolean> {
  const url = `http://${config.host}:${config.port}`;
  if (!await Promise.race([hub.status.then(() => false), isReady(url)])) return false;
  const drop = config.dropRoots.find((root) => root.url.startsWith("file:"));
  const demo = start(
    new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "--quiet",
        "--no-prompt",
        "--no-remote",
        "--cached-only",
        `--allow-net=${config.host}:${config.port}`,
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
    }).spawn(),
  );
  return (await demo.status).success;
}

async function isReady(url: string): Promise<boolean> {
  for (const limit = performance.now() + READY_MS; performance.now() < limit;) {
    const answer = await fetch(`${url}/api/health/ready`).catch(() => undefined);
    await answer?.body?.cancel();
    if (answer?.ok) return true;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return false;
}
