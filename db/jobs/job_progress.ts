import type { Db, Queryable } from "../core/queryable.ts";
import type { JobMark } from "./job_marks.ts";
import { moveJob } from "./jobs.ts";

/** What a submission is made of. */
export interface JobToSubmit extends JobMark {
  labTest: string;
  packageUrl: string;
  os: string;
  machine: string | null;
  pool: string | null;
  note: string;
  report: "email" | "none";
}

/**
 * Records that a submission begins, before anything is run: from here on the job may be in the lab. Undefined where the
 * job is no longer queued, or waits for its next attempt.
 */
export async function beginAttempt(
  sql: Db,
  id: number,
  timeLimitMs: number,
): Promise<JobToSubmit | undefined> {
  return await sql.begin(async (tx) => {
    const [job] = await tx<(JobToSubmit & { unsent: number })[]>`
      update jobs set state = 'submitting', attempt = attempt + 1, updated_at = now(),
        marked_from = coalesce(marked_from, attempt + 1),
        attempt_ends_at = now() + make_interval(secs => ${timeLimitMs / 1000})
      from hub
      where jobs.id = ${id} and state = 'queued' and coalesce(next_attempt_at <= now(), true)
      returning jobs.id, attempt, hub.id as hub, lab_test as "labTest", package_url as "packageUrl", os, machine, pool, note,
        report, unsent`;
    if (job === undefined) return undefined;
    const { unsent, ...rest } = job;
    // While the lab cannot be reached, attempts would fill the history.
    if (unsent === 0) {
      await tx`insert into job_events (job_id, state, cause) values (${id}, 'submitting', ${`attempt ${job.attempt} begins`})`;
    }
    return rest;
  });
}

class SerialTaken extends Error {}

/**
 * Records the serials the lab gave. False where one of them belongs to another job: then the lab's word cannot be
 * trusted and nothing is written. Those of a job that is further already are recorded with a line in its history.
 */
export async function acceptJob(
  sql: Db,
  id: number,
  { serials, cause, ...output }: { serials: number[]; cause: string; stdout?: string; stderr?: string },
): Promise<boolean> {
  try {
    await sql.begin(async (tx) => {
      // Waits for another job that takes one of them at this moment; in order, so that two cannot wait for each other.
      const added = await tx`
        insert into job_serials (serial, job_id)
        select serial, ${id} from unnest(${serials}::bigint[]) as serial order by serial
        on conflict (serial) do nothing
        returning serial`;
      const others = await tx`
        select serial from job_serials where serial = any(${serials}::bigint[]) and job_id <> ${id}`;
      if (others.length > 0) throw new SerialTaken();
      const from = ["submitting", "unknown", "queued"] as const;
      const isMoved = await moveJob(tx, id, { from, to: "submitted", cause, ...output });
      if (!isMoved && added.length > 0) {
        await tx`insert into job_events (job_id, state, cause) select id, state, ${cause} from jobs where id = ${id}`;
      }
      await tx`update jobs set unsent = 0 where id = ${id} and unsent > 0`;
      // The lab can be reached again.
      await tx`
        update jobs set next_attempt_at = now() where id in (
          select id from jobs where state = 'queued' and next_attempt_at > now() for no key update skip locked
        )`;
    });
    return true;
  } catch (error) {
    if (error instanceof SerialTaken) return false;
    throw error;
  }
}

/** Records why a queued job cannot be submitted now. */
export async function noteWaiting(sql: Queryable, id: number, reason: string): Promise<void> {
  await sql`update jobs set reason = ${reason} where id = ${id} and state = 'queued'`;
}

/** Seconds that the first attempt after one that did not reach the lab waits; each later one twice as long, up to the most. */
const FIRST_WAIT_S = 5;
const MOST_WAIT_S = 300;

/**
 * Puts a job whose submission did not reach the lab back in the queue, and lets every other queued job wait as long. Returns
 * after how many seconds it is due; undefined where the attempt is no longer this job's latest.
 */
export async function postponeAttempt(
  sql: Db,
  { id, attempt }: Pick<JobToSubmit, "id" | "attempt">,
  { reason, stdout, stderr }: { reason: string; stdout: string; stderr: string },
): Promise<number | undefined> {
  return await sql.begin(async (tx) => {
    const [job] = await tx<{ unsent: number }[]>`
      update jobs set state = 'queued', unsent = unsent + 1, reason = ${reason}, updated_at = now(),
        stdout = ${stdout}, stderr = ${stderr}
      where id = ${id} and state = 'submitting' and attempt = ${attempt}
      returning unsent`;
    if (job === undefined) return undefined;
    const waitS = Math.min(MOST_WAIT_S, FIRST_WAIT_S * 2 ** Math.min(job.unsent - 1, 10));
    if (job.unsent === 1) {
      const cause = `waits, since nothing was sent: ${reason}`;
      await tx`insert into job_events (job_id, state, cause) values (${id}, 'queued', ${cause})`;
    }
    await tx`
      update jobs set next_attempt_at = now() + make_interval(secs => ${waitS}), reason = ${reason}
      where id = ${id} or id in (
        select id from jobs where state = 'queued' and coalesce(next_attempt_at, now()) <= now()
        -- Jobs that others move at this moment are passed over.
        for no key update skip locked
      )`;
    return waitS;
  });
}

/**
 * Records that the lab may have a job. `isOver`: nothing can send it any more; otherwise only a person may let it go out again.
 */
export async function loseTrack(
  sql: Db,
  { id, attempt }: Pick<JobToSubmit, "id" | "attempt">,
  { reason, isOver, ...output }: { reason: string; isOver: boolean; stdout: string; stderr: string },
): Promise<void> {
  await sql.begin(async (tx) => {
    const cause = `${reason}; the lab is asked for its note`;
    const isMoved = await moveJob(tx, id, {
      from: ["submitting"],
      to: "unknown",
      cause,
      reason,
      attempt,
      ...output,
    });
    if (!isMoved) return;
    await tx`
      update jobs set unclear = unclear + 1, unsent = 0, looked_up_at = null, needs_person = ${!isOver},
        attempt_ends_at = now()
      where id = ${id}`;
  });
}

/** Jobs that a worker left behind: `submitting` for longer than the binary can run. They become `unknown`. */
export async function markAbandonedJobs(sql: Queryable): Promise<number[]> {
  const cause = "the worker that submitted it is gone; the lab is asked for its note";
  const rows = await sql<{ id: number }[]>`
    with moved as (
      update jobs set state = 'unknown', reason = ${cause}, looked_up_at = null, updated_at = now()
      where state = 'submitting' and attempt_ends_at < now()
      returning id
    ), recorded as (
      insert into job_events (job_id, state, cause) select id, 'unknown', ${cause} from moved
    )
    select id from moved`;
  return rows.map((row) => row.id);
}

/** Ids of queued jobs that no worker has taken for `olderThanS` seconds though they are due; oldest first. */
export async function listOverdueJobs(
  sql: Queryable,
  { olderThanS, limit }: { olderThanS: number; limit: number },
): Promise<number[]> {
  const rows = await sql<{ id: number }[]>`
    select id from jobs
    where state = 'queued'
      and coalesce(next_attempt_at, updated_at + make_interval(secs => ${olderThanS})) <= now()
    order by id limit ${limit}`;
  return rows.map((row) => row.id);
}

/** Minutes between two questions for a job that waits for a person: the lab may still get it. */
const LOOK_AGAIN_MIN = 10;

/** Ids of jobs that the lab is to be asked for by their note; oldest first. */
export async function listUnknownJobs(sql: Queryable, limit: number): Promise<number[]> {
  const rows = await sql<{ id: number }[]>`
    select id from jobs
    where state = 'unknown' and (
      not needs_person or coalesce(looked_up_at < now() - make_interval(mins => ${LOOK_AGAIN_MIN}), true)
    )
    order by id limit ${limit}`;
  return rows.map((row) => row.id);
}

export interface UnknownJob {
  id: number;
  attempt: number;
  /** Nothing that was started for its last attempt can send it any more. */
  isOver: boolean;
  /** And the lab has had the time to show what was sent. */
  isSettled: boolean;
  /** Submissions that may have reached the lab, by what vrlsubmit did; a hub that was ended is not counted. */
  unclear: number;
  needsPerson: boolean;
  reason: string | null;
}

/** What is needed to look a job up in the lab. `settleS`: seconds that the lab may take to show what was sent to it. */
export async function findUnknownJob(
  sql: Queryable,
  id: number,
  settleS: number,
): Promise<UnknownJob | undefined> {
  const [row] = await sql<UnknownJob[]>`
    select id, attempt, coalesce(attempt_ends_at < now(), true) as "isOver",
      coalesce(attempt_ends_at < now() - make_interval(secs => ${settleS}), true) as "isSettled",
      unclear, needs_person as "needsPerson", reason
    from jobs where id = ${id} and state = 'unknown'`;
  return row;
}

/** Records that the lab was asked for a job's note and did not have it. */
export async function noteLookUp(sql: Queryable, id: number): Promise<void> {
  await sql`update jobs set looked_up_at = now() where id = ${id} and state = 'unknown'`;
}

/** Leaves an unknown job to a person, who cancels or retries it; recorded once in its history. */
export async function leaveToPerson(sql: Queryable, id: number, reason: string): Promise<void> {
  await sql`
    with moved as (
      update jobs set needs_person = true, reason = ${reason}, updated_at = now()
      where id = ${id} and state = 'unknown' and not needs_person
      returning id
    )
    insert into job_events (job_id, state, cause) select id, 'unknown', ${reason} from moved`;
}

/** Puts an unknown job back in the queue, unless a person has it meanwhile. Returns whether it did. */
export async function requeueUnknown(
  sql: Queryable,
  id: number,
  { cause, attempt }: { cause: string; attempt: number },
): Promise<boolean> {
  const [job] = await sql`
    select from jobs where id = ${id} and state = 'unknown' and not needs_person for update`;
  return job !== undefined && await moveJob(sql, id, { from: ["unknown"], to: "queued", cause, attempt });
}
