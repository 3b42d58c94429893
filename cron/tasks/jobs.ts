import {
  acceptJob,
  beginAttempt,
  findUnknownJob,
  type JobToSubmit,
  leaveToPerson,
  listOverdueJobs,
  listUnknownJobs,
  loseTrack,
  markAbandonedJobs,
  noteWaiting,
  postponeAttempt,
  recordLabSearch,
  requeueUnknown,
} from "../../db/jobs/job_progress.ts";
import { formatMark } from "../../db/jobs/job_marks.ts";
import { failRemoved } from "../../db/jobs/job_roots.ts";
import { moveJob } from "../../db/jobs/jobs.ts";
import { hasOpenLabJobs } from "../../db/jobs/lab_jobs.ts";
import { reasonOf } from "../../errors.ts";
import { guardLauncher } from "../../run/guard_launcher.ts";
import type { LabJob } from "../../scrapers/http/lab_client.ts";
import { checkExecutable, runVrlsubmit } from "../../run/vrlsubmit.ts";
import { findByMark, readState } from "./follow_lab.ts";
import type { JobDeps } from "./job_deps.ts";

/**
 * Added to the time limit: a submission has surely ended by then, with every process that it started; see run/guard.ts.
 */
const MARGIN_MS = 15_000;
/** Seconds after the end of a submission within which a lab lists an accepted job by its note. */
const SETTLE_S = 30;
const MAX_REASON = 1000;

/** Submits a queued job once. Errors of the lab or the program are not thrown; the job's state reports them. */
export async function submitJob(deps: JobDeps, jobId: number, signal: AbortSignal): Promise<void> {
  const { sql, config } = deps;
  if (signal.aborted) return;
  try {
    await checkExecutable(config.vrlsubmitPath);
  } catch (error) {
    await noteWaiting(sql, jobId, reasonOf(error));
    deps.log("vrlsubmit is not executable; the job waits", { jobId, reason: reasonOf(error) });
    return;
  }
  if (await failRemoved(sql, jobId)) return;
  // Counted from before the attempt is recorded, so that no submission is running when the attempt counts as over,
  // however slow the recording is.
  const until = Date.now() + config.vrlsubmitTimeoutMs;
  const job = await beginAttempt(sql, jobId, config.vrlsubmitTimeoutMs + MARGIN_MS);
  if (job === undefined) return;
  deps.step?.("begun");
  const { stdout, stderr, ...outcome } = await runBinary(deps, job, { until, signal });
  deps.step?.("ran");
  if (outcome.kind === "accepted") {
    const cause = `the lab accepted it as ${outcome.serials.join(", ")}`;
    if (await acceptJob(sql, jobId, { serials: outcome.serials, cause, stdout, stderr })) {
      deps.step?.("accepted");
      await readState(deps, jobId);
      return;
    }
    const reason = `the lab answered with serials of another job: ${outcome.serials.join(", ")}`;
    await loseTrack(sql, job, { reason: short(reason), isOver: true, stdout, stderr });
  } else if (outcome.kind === "refused") {
    const reason = short(outcome.reason);
    const cause = `refused (exit ${outcome.exitCode}): ${reason}`;
    const { attempt } = job;
    await moveJob(sql, jobId, { from: ["submitting"], to: "failed", cause, reason, attempt, stdout, stderr });
    return;
  } else if (outcome.kind === "unsent") {
    const reason = short(outcome.reason);
    const delayS = await postponeAttempt(sql, job, { reason, stdout, stderr });
    deps.step?.("postponed");
    deps.log("a submission did not reach the lab; the job waits", { jobId, reason });
    if (delayS === undefined) return;
    await deps.queue.send("submit_job", { jobId }, { singletonKey: String(jobId), delayS });
    return;
  } else {
    await loseTrack(sql, job, { reason: short(outcome.reason), isOver: outcome.isOver, stdout, stderr });
  }
  deps.step?.("lost track");
  await deps.queue.send("look_up_job", { jobId }, { singletonKey: String(jobId) });
}

function short(reason: string): string {
  return reason.replaceAll("\0", "\uFFFD").slice(0, MAX_REASON);
}

async function runBinary(
  { config }: JobDeps,
  job: JobToSubmit,
  { until, signal }: { until: number; signal: AbortSignal },
) {
  return await runVrlsubmit({
    server: new URL(config.vrlUrl ?? "http://no-lab").host,
    user: config.vrlUser,
    os: job.os,
    test: job.labTest,
    packageUrl: job.packageUrl,
    note: `${formatMark(job)} ${job.note}`.trim(),
    report: job.report,
    ...(job.machine === null ? {} : { machine: job.machine }),
    ...(job.pool === null ? {} : { pool: job.pool }),
  }, {
    guard: guardLauncher(config).path,
    until,
    signal,
  });
}

/**
 * Searches the lab for an `unknown` job by its note, once vrlsubmit can no longer be running. If found, the job
 * continues. If not, the job is resubmitted once if the lab's search is authoritative; otherwise it waits for a person.
 */
export async function searchLabForJob(deps: JobDeps, jobId: number, signal: AbortSignal): Promise<void> {
  const { sql, queue } = deps;
  const job = await findUnknownJob(sql, jobId, SETTLE_S);
  if (job === undefined || !job.isOver) return;
  let found: LabJob[];
  try {
    // An earlier attempt may have reached the lab late, so any attempt counts.
    found = await findByMark(deps, jobId, signal);
  } catch (error) {
    deps.log("could not search the lab for a job", { jobId, reason: reasonOf(error) });
    return;
  }
  deps.step?.("looked up");
  if (found.length > 0) {
    const serials = found.map((one) => one.serial);
    const cause = `found in the lab by its note as ${serials.join(", ")}`;
    if (await acceptJob(sql, jobId, { serials, cause })) return await readState(deps, jobId);
    return await leaveToPerson(sql, jobId, `${cause}, which already belong to another job`);
  }
  await recordLabSearch(sql, jobId);
  if (job.needsPerson) return;
  if (!job.isSettled) {
    await queue.send("look_up_job", { jobId }, { singletonKey: String(jobId), delayS: SETTLE_S });
    return;
  }
  const isProven = deps.config.vrlNoteSearch === "authoritative";
  if (!isProven || job.unclear > 1) {
    const why = isProven
      ? "this is its second submission with an unknown outcome"
      : "the search is not conclusive (VRL_NOTE_SEARCH is advisory)";
    const reason =
      `${
        job.reason ?? "its submission was cut short"
      }; a search of the lab for its note found nothing, and ${why}. ` +
      "Cancel it, or retry it once you know that the lab does not have it.";
    return await leaveToPerson(sql, jobId, reason);
  }
  await sql.begin(async (tx) => {
    const cause = "the lab does not have it: resubmitted";
    if (await requeueUnknown(tx, jobId, { cause, attempt: job.attempt })) {
      await queue.send("submit_job", { jobId }, { singletonKey: String(jobId), tx });
    }
  });
}

/** Recovers, each minute, jobs that a lost worker or a lost queue task left behind. */
export async function tickJobs(deps: JobDeps): Promise<void> {
  await markAbandonedJobs(deps.sql);
  const again = [
    ["submit_job", await listOverdueJobs(deps.sql, { olderThanS: 30, limit: 1000 })],
    ["look_up_job", await listUnknownJobs(deps.sql, 1000)],
  ] as const;
  for (const [name, ids] of again) {
    await deps.queue.sendAll(name, ids.map((jobId) => ({ data: { jobId }, singletonKey: String(jobId) })));
  }
  if (await hasOpenLabJobs(deps.sql)) await deps.queue.send("follow_lab", {}, { singletonKey: "lab" });
}
