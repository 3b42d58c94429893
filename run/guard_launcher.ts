import { createHash } from "node:crypto";
import type { Config } from "../config/config.ts";

export type GuardConfig = Pick<
  Config,
  "home" | "dataDir" | "vrlsubmitPath" | "programEnv" | "vrlTokenFile"
>;

export interface GuardLauncher {
  path: string;
  text: string;
}

/**
 * The only program that the hub may run: a script that starts guard.ts, with its own permission flags, for VRLSUBMIT_PATH. It
 * is written before the hub starts and fixes program, Deno and environment, so that the hub can choose only the arguments.
 */
export function guardLauncher(config: GuardConfig): GuardLauncher {
  const { home, dataDir, vrlsubmitPath, programEnv, vrlTokenFile } = config;
  const env = { ...programEnv, ...(vrlTokenFile === undefined ? {} : { VRL_TOKEN_FILE: vrlTokenFile }) };
  const words = [
    ...["/usr/bin/env", "-i", ...Object.entries(env).map(([name, value]) => `${name}=${value}`)],
    ...[Deno.execPath(), "run", "--quiet", "--no-prompt", "--no-remote", "--cached-only", "--no-config"],
    ...[`--allow-run=${vrlsubmitPath}`, "--allow-ffi", `${home}/run/guard.ts`, vrlsubmitPath],
  ].map((word) => `'${word.replaceAll("'", "'\\''")}'`);
  const text = `#!/bin/sh
# Written at the start of the hub, see run/guard_launcher.ts: runs VRLSUBMIT_PATH in its own process group.
exec ${words.join(" ")} "$@"
`;
  // Versions and settings that share a data folder have separate launchers.
  const name = createHash("sha256").update(text).digest("hex").slice(0, 16);
  return { path: `${dataDir}/guard/${name}`, text };
}

/** Writes the launcher if it is missing, and returns its path. */
export async function ensureGuard(config: GuardConfig): Promise<string> {
  const { path, text } = guardLauncher(config);
  if (await Deno.readTextFile(path).catch(() => "") === text) return path;
  await Deno.mkdir(path.slice(0, path.lastIndexOf("/")), { recursive: true, mode: 0o700 });
  const part = `${path}.${crypto.randomUUID()}`;
  await Deno.writeTextFile(part, text, { mode: 0o700 });
  await Deno.rename(part, path);
  return path;
}
