import { getOwnMarks, isMarkOf, markStart } from "../../db/jobs/job_marks.ts";
import {
  findLabCursor,
  followLab,
  hasOpenLabJobs,
  type LabWord,
  listSerials,
  listSilentSerials,
  noteAsked,
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
} from "../../run/lab_client.ts";
import { enqueueDue } from "./enqueue_due.ts";
import { type JobDeps, labOf } from "./job_deps.ts";

const MAX_PAGES = 100;
/** Jobs that the lab is asked for alone, each time. */
const MAX_ALONE = 50;

/** The lab's jobs that the attempts of a job made, by their notes. */
export async function findByMark(deps: JobDeps, jobId: number, signal?: AbortSignal): Promise<LabJob[]> {
  const own = await getOwnMarks(deps.sql, jobId);
  const found = await findLabJobs(labOf(deps, signal), markStart(jobId));
  return found.filter((job) => isMarkOf(job.note, own));
}

/** A change made before the serials were stored has gone by unnoticed: the state is asked for once. */
export async function readState(deps: JobDeps, jobId: number): Promise<void> {
  try {
    const jobs = await findByMark(deps, jobId);
    await testsEnded(deps, await followLab(deps.sql, deps.config.vrlUrl!, { jobs, cursor: null }));
  } catch (error) {
    deps.log("the lab's state of a job could not be read", { jobId, reason: reasonOf(error) });
  }
  await deps.queue.send("follow_lab", {}, { singletonKey: "lab", delayS: 1 });
}

/**
 * Asks the lab to cancel every serial of a job; the lab's own word then moves the job. One that was cancelled while it was unknown
 * has no serial: the lab is asked for its note.
 */
export async function cancelJobInLab(deps: JobDeps, jobId: number, signal: AbortSignal): Promise<void> {
  const known = await listSerials(deps.sql, jobId);
  const serials = known.length > 0
    ? known
    : (await findByMark(deps, jobId, signal)).map((found) => found.serial);
  for (const serial of serials) await cancelLabJob(labOf(deps, signal), serial);
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
  await askForSilent(deps, lab);
  if (!signal.aborted && await hasOpenLabJobs(deps.sql)) {
    await deps.queue.send("follow_lab", {}, { singletonKey: "lab", delayS: 2 });
  }
}

/** Asks for jobs that the lab's list of changes has not named for long. One that the lab does not know is lost after a time. */
async function askForSilent(deps: JobDeps, lab: LabOptions): Promise<void> {
  const { sql, config } = deps;
  const silent = await listSilentSerials(sql, MAX_ALONE);
  const heard: LabWord[] = [];
  const missing: number[] = [];
  const failed: number[] = [];
  for (const serial of silent) {
    try {
      const job = await findLabJob(lab, serial);
      if (job === undefined) missing.push(serial);
      else heard.push(job);
    } catch (error) {
      // The others have their turn next time, before this one.
      deps.log("the lab cannot be asked for a job", { serial, reason: reasonOf(error) });
      failed.push(serial);
      break;
    }
  }
  const asked = [...heard.map((job) => job.serial), ...missing, ...failed];
  if (asked.length === 0) return;
  const lostAfterS = config.vrlLostAfterMs / 1000;
  const lost = await noteAsked(sql, { asked, missing, failed, lostAfterS });
  const jobs = lost.map((serial) => ({
    serial,
    state: "lost",
    reason: `the lab has not known job ${serial} for ${lostAfterS} s`,
  }));
  await testsEnded(deps, await followLab(sql, lab.url, { jobs: heard, cursor: null }));
  await testsEnded(deps, await followLab(sql, lab.url, { jobs, cursor: null, isHeard: false }));
}

/** Results of a job that ended are wanted now, not at the test's next turn. */
async function testsEnded({ sql, queue }: JobDeps, testIds: number[]): Promise<void> {
  if (testIds.length === 0) return;
  await makeTestsDue(sql, testIds);
  await enqueueDue({ sql, queue });
}
