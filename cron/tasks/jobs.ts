import type { Config } from "../../config.ts";
import type { Db } from "../../db/client.ts";
import {
  acceptJob,
  beginAttempt,
  findLabCursor,
  findUnknownJob,
  followLab,
  hasOpenLabJobs,
  jobMark,
  type JobToSubmit,
  listJobIds,
  listSerials,
  markAbandonedJobs,
} from "../../db/job_progress.ts";
import { failRemoved } from "../../db/job_roots.ts";
import { moveJob } from "../../db/jobs.ts";
import { makeTestsDue } from "../../db/tests.ts";
import { HubError, reasonOf } from "../../errors.ts";
import { cancelLabJob, findLabJobs, type LabOptions, listChangedLabJobs } from "../../run/lab_client.ts";
import { checkExecutable, runVrlsubmit } from "../../run/vrlsubmit.ts";
import type { Queue } from "../queue.ts";
import { enqueueDue } from "./enqueue_due.ts";

/** What the tasks of jobs need. */
export interface JobDeps {
  sql: Db;
  queue: Queue;
  config: Readonly<Config>;
  /** The lab's token, where it has one. */
  labToken: string | undefined;
  log(message: string, fields?: Record<string, unknown>): void;
  /** Called between any two steps; a test ends the process there. */
  step?(name: string): void;
}

/** Seconds beyond the time limit within which a child that was killed is surely gone. */
const MARGIN_MS = 10_000;
const MAX_PAGES = 100;

function labOf({ config, labToken }: JobDeps, signal?: AbortSignal): LabOptions {
  if (config.vrlUrl === undefined) throw new HubError("SERVICE_UNAVAILABLE", "No lab is named; set VRL_URL.");
  return { url: config.vrlUrl, token: labToken, signal };
}

/** Submits a queued job once. Never throws for what the lab or the binary does: the job's state says it. */
export async function submitJob(deps: JobDeps, jobId: number, signal: AbortSignal): Promise<void> {
  const { sql, config } = deps;
  try {
    await checkExecutable(config.vrlsubmitPath);
  } catch (error) {
    deps.log("vrlsubmit cannot be run; the job waits", { jobId, reason: reasonOf(error) });
    return;
  }
  if (await failRemoved(sql, jobId)) return;
  const job = await beginAttempt(sql, jobId, config.vrlsubmitTimeoutMs + MARGIN_MS);
  if (job === undefined) return;
  deps.step?.("begun");
  const outcome = await runBinary(deps, job, signal);
  deps.step?.("ran");
  const output = { stdout: outcome.stdout, stderr: outcome.stderr };
  if (outcome.kind === "accepted") {
    const cause = `the lab accepted it as ${outcome.serials.join(", ")}`;
    if (await acceptJob(sql, jobId, { serials: outcome.serials, cause, ...output })) {
      deps.step?.("accepted");
      await readState(deps, job);
      return;
    }
    await moveJob(sql, jobId, {
      from: ["submitting"],
      to: "unknown",
      cause: `the lab answered with serials of another job: ${outcome.serials.join(", ")}`,
      ...output,
    });
    return;
  }
  if (outcome.kind === "refused") {
    const cause = `refused (exit ${outcome.exitCode}): ${outcome.reason}`.slice(0, 1000);
    await moveJob(sql, jobId, { from: ["submitting"], to: "failed", cause, ...output });
    return;
  }
  const cause = outcome.kind === "timeout"
    ? `vrlsubmit did not end within ${config.vrlsubmitTimeoutMs} ms; the lab is asked for its note`
    : `${outcome.reason}; the lab is asked for its note`;
  await moveJob(sql, jobId, { from: ["submitting"], to: "unknown", cause: cause.slice(0, 1000), ...output });
}

async function runBinary({ config }: JobDeps, job: JobToSubmit, signal: AbortSignal) {
  return await runVrlsubmit({
    server: new URL(config.vrlUrl ?? "http://no-lab").host,
    user: config.vrlUser,
    os: job.os,
    test: job.labTest,
    packageUrl: job.packageUrl,
    note: `${jobMark(job.id, job.attempt)} ${job.note}`.trim(),
    report: job.report,
    ...(job.machine === null ? {} : { machine: job.machine }),
    ...(job.pool === null ? {} : { pool: job.pool }),
  }, {
    path: config.vrlsubmitPath,
    timeoutMs: config.vrlsubmitTimeoutMs,
    env: {
      ...config.programEnv,
      ...(config.vrlTokenFile === undefined ? {} : { VRL_TOKEN_FILE: config.vrlTokenFile }),
    },
    signal,
  });
}

/** A change made before the serials were stored has gone by unnoticed: the state is asked for once. */
async function readState(deps: JobDeps, job: { id: number; attempt: number }): Promise<void> {
  try {
    const jobs = await findLabJobs(labOf(deps), jobMark(job.id, job.attempt));
    await testsEnded(deps, await followLab(deps.sql, deps.config.vrlUrl!, { jobs, cursor: null }));
  } catch (error) {
    deps.log("the lab's state of a job could not be read", { jobId: job.id, reason: reasonOf(error) });
  }
  await deps.queue.send("follow_lab", {}, { singletonKey: "lab", delayS: 1 });
}

/**
 * Looks an `unknown` job up by its note, once the binary can no longer be running. Found: it goes on. Not found: it goes
 * out again where the lab's search is authoritative; else it waits for a person.
 */
export async function lookUpJob(deps: JobDeps, jobId: number, signal: AbortSignal): Promise<void> {
  const job = await findUnknownJob(deps.sql, jobId);
  if (job === undefined || !job.isOver) return;
  const mark = jobMark(job.id, job.attempt);
  const found = await findLabJobs(labOf(deps, signal), mark);
  deps.step?.("looked up");
  if (found.length > 0) {
    const serials = found.map((one) => one.serial);
    const cause = `found in the lab by its note as ${serials.join(", ")}`;
    if (await acceptJob(deps.sql, jobId, { serials, cause })) await readState(deps, job);
    return;
  }
  if (deps.config.vrlNoteSearch !== "authoritative") return;
  await deps.sql.begin(async (tx) => {
    const cause = "the lab does not have it: submitted again";
    if (await moveJob(tx, jobId, { from: ["unknown"], to: "queued", cause })) {
      await deps.queue.send("submit_job", { jobId }, { singletonKey: String(jobId), tx });
    }
  });
}

/** Asks the lab to cancel every serial of a job; the lab's own word then moves the job. */
export async function cancelJobInLab(deps: JobDeps, jobId: number, signal: AbortSignal): Promise<void> {
  for (const serial of await listSerials(deps.sql, jobId)) await cancelLabJob(labOf(deps, signal), serial);
  await deps.queue.send("follow_lab", {}, { singletonKey: "lab" });
}

/** Reads what changed in the lab since the last time; goes on while jobs are open. */
export async function followLabTask(deps: JobDeps, signal: AbortSignal): Promise<void> {
  const lab = labOf(deps, signal);
  let cursor = await findLabCursor(deps.sql, lab.url);
  for (let page = 0; page < MAX_PAGES; page++) {
    const { jobs, nextCursor } = await listChangedLabJobs(lab, cursor);
    if (jobs.length === 0 && (nextCursor === null || nextCursor === cursor)) break;
    if (nextCursor === cursor) {
      throw new HubError("BAD_GATEWAY", `The lab repeats the page after ${JSON.stringify(cursor)}.`);
    }
    await testsEnded(deps, await followLab(deps.sql, lab.url, { jobs, cursor: nextCursor }));
    if (nextCursor === null) break;
    cursor = nextCursor;
  }
  if (!signal.aborted && await hasOpenLabJobs(deps.sql)) {
    await deps.queue.send("follow_lab", {}, { singletonKey: "lab", delayS: 2 });
  }
}

/** Results of a job that ended are wanted now, not at the test's next turn. */
async function testsEnded({ sql, queue }: JobDeps, testIds: number[]): Promise<void> {
  if (testIds.length === 0) return;
  await makeTestsDue(sql, testIds);
  await enqueueDue({ sql, queue });
}

/** Each minute: what a lost worker or a lost message left behind is taken up again. */
export async function tickJobs(deps: JobDeps): Promise<void> {
  await markAbandonedJobs(deps.sql);
  const again = [
    ["submit_job", await listJobIds(deps.sql, { state: "queued", olderThanS: 30, limit: 1000 })],
    ["look_up_job", await listJobIds(deps.sql, { state: "unknown", olderThanS: 0, limit: 1000 })],
  ] as const;
  for (const [name, ids] of again) {
    await deps.queue.sendAll(name, ids.map((jobId) => ({ data: { jobId }, singletonKey: String(jobId) })));
  }
  if (await hasOpenLabJobs(deps.sql)) await deps.queue.send("follow_lab", {}, { singletonKey: "lab" });
}
