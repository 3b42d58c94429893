import { afterAll, beforeAll, expect, test } from "vitest";
import { loadConfig } from "../../config/config.ts";
import { startQueue } from "../../cron/boss.ts";
import type { Queue } from "../../cron/queue.ts";
import { followLabTask } from "../../cron/tasks/follow_lab.ts";
import type { JobDeps } from "../../cron/tasks/job_deps.ts";
import { searchLabForJob, submitJob, tickJobs } from "../../cron/tasks/jobs.ts";
import { configureRoots } from "../../db/drop/drop_roots.ts";
import { retryJob } from "../../db/jobs/job_requests.ts";
import { getJob } from "../../db/jobs/jobs.ts";
import { ensureGuard } from "../../run/guard_launcher.ts";
import { HOME } from "../helpers/app.ts";
import { BY } from "../helpers/author.ts";
import { submitAndDie } from "../helpers/job_child.ts";
import { type TestLab, testLab, until } from "../helpers/lab.ts";
import { type TestDatabase, testDatabase } from "../helpers/postgres.ts";

const NAME = "calc_main_Release_Linux_AMD64_compiler";
let database: TestDatabase;
let lab: TestLab;
let queue: Queue;
let deps: JobDeps;
let env: Record<string, string>;

beforeAll(async () => {
  [database, lab] = await Promise.all([testDatabase(), testLab()]);
  queue = await startQueue(database.sql, { onError: () => {} });
  env = {
    DATA_DIR: lab.data,
    DATABASE_URL: database.url,
    VRL_URL: lab.url,
    VRL_TOKEN_FILE: `${lab.data}/lab.token`,
    VRL_NOTE_SEARCH: "authoritative",
  };
  const config = loadConfig({
    ...env,
    PATH: Deno.env.get("PATH"),
    HOME: Deno.env.get("HOME"),
  }, HOME);
  await ensureGuard(config);
  deps = { sql: database.sql, queue, config, labToken: lab.token, log: () => {} };
  await database.sql`insert into tests (name, scraper) values ('calc', 'vrl')`;
});
afterAll(async () => {
  await queue.stop(500);
  await Promise.all([database.drop(), lab.stop()]);
});

async function makeJob(): Promise<number> {
  const url = `file://${lab.drop}/${NAME}/SW_1080_${NAME}.tgz`;
  const [row] = await database.sql<{ id: number }[]>`
    insert into jobs (test_id, lab_test, package_url, os, pool, note, state, requested_by)
    values (1, 'calc', ${url}, 'linux', 'linux', '', 'queued', 'admin') returning id`;
  return row!.id;
}

async function inLab(id: number): Promise<number> {
  const { jobs } =
    await (await fetch(`${lab.url}/jobs?limit=1000&note=${encodeURIComponent(`[chub job ${id}.`)}`)).json();
  return jobs.length;
}

const signal = () => AbortSignal.timeout(120_000);

test("a job is submitted to the lab by vrlsubmit, and followed to its end", async () => {
  const id = await makeJob();
  await submitJob(deps, id, signal());
  const job = await until(async () => {
    await followLabTask(deps, signal());
    return await getJob(database.sql, id);
  }, (one) => one.state === "done");
  expect(job.serials).toHaveLength(1);
  expect(job.events.map((event) => event.state)).toEqual(
    expect.arrayContaining(["submitting", "submitted", "done"]),
  );
});

test.each(["begun", "ran", "accepted"])(
  "kill -9 after the step `%s` neither loses the job nor submits it twice",
  async (step) => {
    const id = await makeJob();
    const child = await submitAndDie({ home: HOME, env, jobId: id, dieAt: step });
    expect(child.signal).toBe("SIGKILL");
    const left = await getJob(database.sql, id);
    expect(left.state).toBe(step === "accepted" ? "submitted" : "submitting");
    await tickJobs(deps);
    expect((await getJob(database.sql, id)).state).toBe(left.state);
    await database.sql`update jobs set attempt_ends_at = now() - interval '1 minute' where id = ${id}`;
    await tickJobs(deps);
    await searchLabForJob(deps, id, signal());
    await submitJob(deps, id, signal());
    const job = await until(async () => {
      await followLabTask(deps, signal());
      return await getJob(database.sql, id);
    }, (one) => one.state === "done");
    expect(job.serials).toHaveLength(1);
    expect(await inLab(id)).toBe(1);
  },
);

test("without an authoritative note search a job that is not found waits for a person", async () => {
  const id = await makeJob();
  await database
    .sql`update jobs set state = 'unknown', attempt = 1, attempt_ends_at = now() where id = ${id}`;
  await searchLabForJob({ ...deps, config: { ...deps.config, vrlNoteSearch: "advisory" } }, id, signal());
  expect((await getJob(database.sql, id)).state).toBe("unknown");
});

test("a job whose package is under a root removed from DROP_URLS is never submitted", async () => {
  const { sql } = database;
  const removed = `file://${lab.drop}`;
  await configureRoots(sql, [{ name: "drop", url: removed }]);
  const id = await makeJob();
  await configureRoots(sql, [{ name: "other", url: "file:///elsewhere" }]);
  try {
    await submitJob(deps, id, signal());
    const job = await getJob(sql, id);
    expect(job).toMatchObject({ state: "failed", attempt: 0 });
    expect(job.events.at(-1)!.cause).toBe(
      `not submitted: its package is under ${removed}, which is no longer in DROP_URLS`,
    );
    expect(await inLab(id)).toBe(0);
    const options = { by: BY, idempotencyKey: undefined, dropRoots: [], enqueue: () => Promise.resolve() };
    await expect(retryJob(sql, id, options)).rejects.toMatchObject({
      code: "CONFLICT",
      message: expect.stringContaining("which is no longer in DROP_URLS"),
    });
    // A root that is added again, or one that contains it, is enough.
    await configureRoots(sql, [{ name: "all", url: removed.replace(/\/[^/]*$/, "") }]);
    await submitJob(deps, (await retryJob(sql, id, options)).id, signal());
    expect(await inLab((await getJob(sql, id)).id + 1)).toBe(1);
  } finally {
    await sql`delete from roots`;
  }
});

test("a missing vrlsubmit leaves the job queued; a refusal by the lab fails it with the reason", async () => {
  const id = await makeJob();
  await submitJob({ ...deps, config: { ...deps.config, vrlsubmitPath: "/nowhere/vrlsubmit" } }, id, signal());
  expect(await getJob(database.sql, id)).toMatchObject({ state: "queued", attempt: 0 });
  await database.sql`update jobs set pool = 'nope' where id = ${id}`;
  await submitJob(deps, id, signal());
  const job = await getJob(database.sql, id);
  expect(job.state).toBe("failed");
  expect(job.events.at(-1)!.cause).toContain("nope");
});
