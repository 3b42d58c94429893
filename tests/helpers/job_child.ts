/** Submits a job like a hub, and on request ends itself with SIGKILL, to simulate a crash of the hub. */
import { loadConfig } from "../../config/config.ts";
import { startQueue } from "../../cron/boss.ts";
import { submitJob } from "../../cron/tasks/jobs.ts";
import { openDatabase } from "../../db/core/client.ts";
import { ensureGuard } from "../../run/guard_launcher.ts";
import { signalProcess } from "../../run/kill.ts";

export interface JobChild {
  home: string;
  /** Settings. */
  env: Record<string, string>;
  jobId: number;
  /** The step after which it ends, or the time in ms after its begin. */
  dieAt: string | number;
}

/** Runs this file as a process. Returns how it ended. */
export async function submitAndDie(child: JobChild): Promise<Deno.CommandStatus> {
  return await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", import.meta.filename!, JSON.stringify(child)],
    cwd: child.home,
    stdout: "null",
    stderr: "null",
  }).spawn().status;
}

async function main({ home, env, jobId, dieAt }: JobChild): Promise<void> {
  const config = loadConfig({ PATH: Deno.env.get("PATH"), HOME: Deno.env.get("HOME"), ...env }, home);
  await ensureGuard(config);
  const sql = openDatabase(config.databaseUrl!);
  const queue = await startQueue(sql, { onError: () => {} });
  const die = () => signalProcess(Deno.pid, "SIGKILL");
  const step = (name: string) => {
    if (name === dieAt) die();
    if (name === "begun" && typeof dieAt === "number") setTimeout(die, dieAt);
  };
  const deps = { sql, queue, config, labToken: undefined, log: () => {}, step };
  await submitJob(deps, jobId, AbortSignal.timeout(120_000));
  Deno.exit(0);
}

if (import.meta.main) await main(JSON.parse(Deno.args[0]!));
