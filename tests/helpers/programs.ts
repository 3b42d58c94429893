import { loadConfig } from "../../config/config.ts";
import { ensureGuard } from "../../run/guard_launcher.ts";
import { runVrlsubmit, type Submission } from "../../run/vrlsubmit.ts";
import { HOME } from "./app.ts";

export const SUBMISSION: Submission = {
  server: "lab:80",
  user: "chub",
  os: "linux",
  test: "calc",
  packageUrl: "file:///drop/p/SW_1_p.tgz",
  note: "n",
  report: "none",
  pool: "linux",
};
/** A line of shell that reports acceptance with serial 7. */
export const ACCEPTED = "echo 'Submission accepted as job(s) 7'";

export interface RunExtra {
  timeoutMs?: number;
  env?: Record<string, string>;
  signal?: AbortSignal;
  guard?: string;
}
export type Outcome = Awaited<ReturnType<typeof runVrlsubmit>>;

/** Creates shell programs in a folder that replace vrlsubmit. */
export function programs(folder: string) {
  /** Creates a program and returns its path. */
  async function script(body: string): Promise<string> {
    const path = `${folder}/${crypto.randomUUID()}`;
    await Deno.writeTextFile(path, `#!/bin/sh\n${body}\n`, { mode: 0o755 });
    return path;
  }
  /** Runs lines of shell as vrlsubmit. */
  async function run(body: string, { timeoutMs = 120_000, ...extra }: RunExtra = {}): Promise<Outcome> {
    const path = await script(body);
    const config = loadConfig(
      { DATA_DIR: folder, VRLSUBMIT_PATH: path, PATH: Deno.env.get("PATH") },
      HOME,
    );
    const programEnv = { ...config.programEnv, ...extra.env };
    const guard = extra.guard ?? await ensureGuard({ ...config, programEnv });
    return await runVrlsubmit(SUBMISSION, { guard, until: Date.now() + timeoutMs, signal: extra.signal });
  }
  /** Runs a program until its time limit, which is as short as this machine's start of programs permits. */
  async function runHanging(body: string, firstMs = 500): Promise<Outcome> {
    for (let timeoutMs = firstMs;; timeoutMs *= 2) {
      const outcome = await run(body, { timeoutMs });
      if (outcome.kind !== "unsent") return outcome;
    }
  }
  return { script, run, runHanging };
}
