import { getOwnMarks, isMarkOf, markStart } from "../../db/jobs/job_marks.ts";
import {
  findLabCursor,
  followLab,
  hasOpenLabJobs,
  type LabReport,
  listSerials,
  listSilentSerials,
  recordLabQuery,
} from "../../db/jobs/lab_jobs.ts";
import { makeTestsDue } from "../../db/tests/tests.ts";
import { HubError, reasonOf } from "../../errors.ts";
import {
  cancelLabJob,
  findLabJob,
  findLabJobs,
  type LabJob,
  type LabOptions,
  listChangedLabJobs,
} from "../../scrapers/http/lab_client.ts";
import { enqueueDue } from "./enqueue_due.ts";
import { type JobDeps, labOf } from "./job_deps.ts";

const MAX_PAGES = 100;
/** Maximum number of jobs queried individually per task. */
const MAX_ALONE = 50;

/** Finds the lab's jobs of all attempts of a job, by their notes. */
export async function findByMark(deps: JobDeps, jobId: number, signal?: AbortSignal): Promise<LabJob[]> {
  const own = await getOwnMarks(deps.sql, jobId);
  const found = await findLabJobs(labOf(deps, signal), markStart(jobId));
  return found.filter((job) => isMarkOf(job.note, own));
}

/** Reads a job's state once after its serials are stored, because earlier changes were missed. */
export async function readState(deps: JobDeps, jobId: number): Promise<void> {
  try {
    const jobs = await findByMark(deps, jobId);
    await testsEnded(deps, await followLab(deps.sql, deps.config.vrlUrl!, { jobs, cursor: null }));
  } catch (error) {
    deps.log("could not read the lab's state of a job", { jobId, reason: reasonOf(error) });
  }
  await deps.queue.send("follow_lab", {}, { singletonKey: "lab", delayS: 1 });
}

/**
 * Requests cancellation of every serial of a job from the lab, whose report then moves the job. A job that was cancelled
 * while unknown has no serials, so the lab is searched for its note.
 */
export async function cancelJobInLab(deps: JobDeps, jobId: number, signal: AbortSignal): Promise<void> {
  const known = await listSerials(deps.sql, jobId);
  const serials = known.length > 0
    ? known
    : (await findByMark(deps, jobId, signal)).map((found) => found.serial);
  for (const serial of serials) await cancelLabJob(labOf(deps, signal), serial);
  await deps.queue.send("follow_lab", {}, { singletonKey: "lab" });
}

/** Reads what changed in the lab since the last time, and repeats while jobs are open. */
export async function followLabTask(deps: JobDeps, signal: AbortSignal): Promise<void> {
  const lab = labOf(deps, signal);
  let cursor = await findLabCursor(deps.sql, lab.url);
  for (let page = 0; page < MAX_PAGES; page++) {
    const { jobs, nextCursor } = await listChangedLabJobs(lab, cursor);
    if (jobs.length === 0 && (nextCursor === null || nextCursor === cursor)) break;
    if (nextCursor === cursor) {
      throw new HubError(
        "BAD_GATEWAY",
        `The lab returned the page after ${JSON.stringify(cursor)} twice, with the same cursor.`,
      );
    }
    await testsEnded(deps, await followLab(deps.sql, lab.url, { jobs, cursor: nextCursor }));
    if (nextCursor === null) break;
    cursor = nextCursor;
  }
  await querySilent(deps, lab);
  if (!signal.aborted && await hasOpenLabJobs(deps.sql)) {
    await deps.queue.send("follow_lab", {}, { singletonKey: "lab", delayS: 2 });
  }
}

/**
 * Queries jobs that the lab's list of changes has not reported for a long time. A job that the lab does not know for
 * `VRL_LOST_AFTER` is lost.
 */
async function querySilent(deps: JobDeps, lab: LabOptions): Promise<void> {
  const { sql, config } = deps;
  const silent = await listSilentSerials(sql, MAX_ALONE);
  const reported: LabReport[] = [];
  const missing: number[] = [];
  const failed: number[] = [];
  for (const serial of silent) {
    try {
      const job = await findLabJob(lab, serial);
      if (job === undefined) missing.push(serial);
      else reported.push(job);
    } catch (error) {
      // The remaining jobs come first next time.
      deps.log("could not query a job from the lab", { serial, reason: reasonOf(error) });
      failed.push(serial);
      break;
    }
  }
  const asked = [...reported.map((job) => job.serial), ...missing, ...failed];
  if (asked.length === 0) return;
  const lostAfterS = config.vrlLostAfterMs / 1000;
  const lost = await recordLabQuery(sql, { asked, missing, failed, lostAfterS });
  const jobs = lost.map((serial) => ({
    serial,
    state: "lost",
    reason: `the lab has not known job ${serial} for ${lostAfterS} s`,
  }));
  await testsEnded(deps, await followLab(sql, lab.url, { jobs: reported, cursor: null }));
  await testsEnded(deps, await followLab(sql, lab.url, { jobs, cursor: null, isReported: false }));
}

/** Makes the tests of ended jobs due, because their results are expected now, not at the next interval. */
async function testsEnded({ sql, queue }: JobDeps, testIds: number[]): Promise<void> {
  if (testIds.length === 0) return;
  await makeTestsDue(sql, testIds);
  await enqueueDue({ sql, queue });
}
