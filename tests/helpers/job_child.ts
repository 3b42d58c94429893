/** Runs one step of a job's way and ends itself with SIGKILL at the step named; what a crash of the hub does. */
import { loadConfig } from "../../config.ts";
import { startQueue } from "../../cron/boss.ts";
import { submitJob } from "../../cron/tasks/jobs.ts";
import { openDatabase } from "../../db/client.ts";

const [home, databaseUrl, vrlUrl, tokenFile, jobId, dieAt] = Deno.args as [
  string,
  string,
  string,
  string,
  string,
  string,
];
const config = loadConfig({
  DATABASE_URL: databaseUrl,
  VRL_URL: vrlUrl,
  VRL_TOKEN_FILE: tokenFile,
  VRL_NOTE_SEARCH: "authoritative",
}, home);
const sql = openDatabase(databaseUrl);
const queue = await startQueue(sql, { onError: () => {} });
await submitJob(
  {
    sql,
    queue,
    config,
    labToken: undefined,
    log: () => {},
    step: (name) => {
      if (name === dieAt) Deno.kill(Deno.pid, "SIGKILL");
    },
  },
  Number(jobId),
  AbortSignal.timeout(120_000),
);
Deno.exit(0);
