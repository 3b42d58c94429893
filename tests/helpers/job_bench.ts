import { type Config, loadConfig } from "../../config/config.ts";
import { startQueue } from "../../cron/boss.ts";
import { followLabTask } from "../../cron/tasks/follow_lab.ts";
import type { JobDeps } from "../../cron/tasks/job_deps.ts";
import { searchLabForJob, submitJob, tickJobs } from "../../cron/tasks/jobs.ts";
import { getJob } from "../../db/jobs/jobs.ts";
import { ensureGuard } from "../../run/guard_launcher.ts";
import type { JobDetail } from "../../schemas/job.ts";
import { HOME } from "./app.ts";
import { freePort } from "./lab.ts";
import { type FaultyLab, startFaultyLab } from "./faulty_lab.ts";
import { testDatabase } from "./postgres.ts";

export interface JobBench {
  deps: JobDeps;
  /** Settings for a hub in a separate process. */
  env: Record<string, string>;
  lab: FaultyLab;
  /** Logged warnings. */
  logged: string[];
  /** Stops the lab, or restarts it on its port with its jobs. */
  setLab(isUp: boolean): void;
  /** The same hub with other settings. */
  withConfig(change: Partial<Config>): Promise<JobDeps>;
  makeJob(): Promise<number>;
  get(id: number): Promise<JobDetail>;
  submit(id: number, deps?: JobDeps): Promise<JobDetail>;
  /** Simulates a minute: looks up every job that may be looked up, and runs all due tasks. */
  minute(id: number, deps?: JobDeps): Promise<JobDetail>;
  follow(deps?: JobDeps): Promise<void>;
  close(): Promise<void>;
}

/** The job tasks on their own database, with the embedded vrlsubmit and a lab that behaves as scripted. */
export async function jobBench(env: Record<string, string> = {}): Promise<JobBench> {
  const database = await testDatabase();
  const { sql } = database;
  const folder = await Deno.makeTempDir({ prefix: "chub-jobs-" });
  const port = freePort();
  let lab = startFaultyLab(port);
  let isLabUp = true;
  const settings = {
    DATA_DIR: folder,
    DATABASE_URL: database.url,
    VRL_URL: lab.url,
    VRL_NOTE_SEARCH: "authoritative",
    ...env,
  };
  const config = loadConfig({ PATH: Deno.env.get("PATH"), HOME: Deno.env.get("HOME"), ...settings }, HOME);
  await ensureGuard(config);
  // The queue has no workers, so that tests decide what runs and when.
  const queue = await startQueue(sql, { onError: () => {} });
  const logged: string[] = [];
  const base: JobDeps = {
    sql,
    queue,
    config,
    labToken: undefined,
    log: (message, fields) => logged.push(`${message} ${JSON.stringify(fields)}`),
  };
  const signal = () => AbortSignal.timeout(120_000);
  await sql`insert into tests (name, scraper) values ('calc', 'vrl')`;
  const bench: JobBench = {
    deps: base,
    env: settings,
    get lab() {
      return lab;
    },
    logged,
    setLab(isUp) {
      if (isUp === isLabUp) return;
      isLabUp = isUp;
      if (isUp) lab = startFaultyLab(port, lab);
      else lab.close();
    },
    async withConfig(change) {
      const changed = { ...config, ...change };
      await ensureGuard(changed);
      return { ...base, config: changed };
    },
    async makeJob() {
      const [row] = await sql<{ id: number }[]>`
        insert into jobs (test_id, lab_test, package_url, os, pool, note, state, requested_by)
        values (1, 'calc', 'file:///drop/p/SW_1_p.tgz', 'linux', 'linux', '', 'queued', 'admin') returning id`;
      return row!.id;
    },
    get: (id) => getJob(sql, id),
    async submit(id, deps = base) {
      await submitJob(deps, id, signal());
      return await getJob(sql, id);
    },
    async minute(id, deps = base) {
      await sql`
        update jobs set attempt_ends_at = attempt_ends_at - interval '2 minutes',
          next_attempt_at = next_attempt_at - interval '10 minutes',
          looked_up_at = looked_up_at - interval '10 minutes', updated_at = updated_at - interval '2 minutes'
        where id = ${id}`;
      await tickJobs(deps);
      await searchLabForJob(deps, id, signal());
      return await bench.submit(id, deps);
    },
    follow: (deps = base) => followLabTask(deps, signal()),
    async close() {
      lab.close();
      await queue.stop(500);
      await database.drop();
      await Deno.remove(folder, { recursive: true });
    },
  };
  return bench;
}
