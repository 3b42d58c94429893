import type { Db, Queryable } from "../core/queryable.ts";
import type { JobMark } from "./job_marks.ts";
import { moveJob } from "./jobs.ts";

/** The arguments of a submission. */
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
 * Records the start of a submission, before anything is run: from here on, the lab may have the job. Returns undefined if
 * the job is no longer queued, or waits for its next attempt.
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
    // While the lab is unreachable, repeated attempts would fill the history.
    if (unsent === 0) {
      await tx`insert into job_events (job_id, state, cause) values (${id}, 'submitting', ${`attempt ${job.attempt} begins`})`;
    }
    return rest;
  });
}

class SerialTaken extends Error {}

/**
 * Records the serials that the lab assigned. Returns false, and writes nothing, if a serial belongs to another job: then
 * the lab's answer cannot be trusted. If the job's state is already later, the serials are recorded with a line in its
 * history.
 */
export async function acceptJob(
  sql: Db,
  id: number,
  { serials, cause, ...output }: { serials: number[]; cause: string; stdout?: string; stderr?: string },
): Promise<boolean> {
  try {
    await sql.begin(async (tx) => {
      // Waits for a job that claims one of these serials concurrently. The order prevents a deadlock.
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
      // The lab is reachable again, so waiting jobs are due.
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

/** Records why a queued job cannot be submitted yet. */
export async function noteWaiting(sql: Queryable, id: number, reason: string): Promise<void> {
  await sql`update jobs set reason = ${reason} where id = ${id} and state = 'queued'`;
}

/**
 * Seconds before the next attempt after one that did not reach the lab. Doubles with each failure, up to `MOST_WAIT_S`.
 */
const FIRST_WAIT_S = 5;
const MOST_WAIT_S = 300;

/**
 * Requeues a job whose submission did not reach the lab, and delays every other queued job as long. Returns the delay in
 * seconds, or undefined if the attempt is no longer the job's latest.
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
        -- Jobs that another transaction is moving are skipped.
        for no key update skip locked
      )`;
    return waitS;
  });
}

/**
 * Records that it is unknown whether the lab has a job. `isOver`: nothing can submit the attempt any more. Otherwise only
 * a person may have the job submitted again.
 */
export async function loseTrack(
  sql: Db,
  { id, attempt }: Pick<JobToSubmit, "id" | "attempt">,
  { reason, isOver, ...output }: { reason: string; isOver: boolean; stdout: string; stderr: string },
): Promise<void> {
  await sql.begin(async (tx) => {
    const cause = `${reason}; searching the lab for its note`;
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

/**
 * Marks jobs that a worker abandoned as `unknown`: they were `submitting` for longer than the program can run. Returns
 * their ids.
 */
export async function markAbandonedJobs(sql: Queryable): Promise<number[]> {
  const cause = "the worker that submitted it was lost; searching the lab for its note";
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

/** Ids of queued jobs that have been due for `olderThanS` seconds without a worker taking them; oldest first. */
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

/** Minutes between lab searches for a job that waits for a person: the lab may still receive it. */
const LOOK_AGAIN_MIN = 10;

/** Ids of jobs to search for in the lab by their note; oldest first. */
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
  /** Nothing started for the last attempt can submit it any more. */
  isOver: boolean;
  /** The attempt is over, and the lab has had time to list it. */
  isSettled: boolean;
  /**
   * Number of submissions that may have reached the lab, judged by what vrlsubmit did. Attempts interrupted by a stop of
   * the hub are not counted.
   */
  unclear: number;
  needsPerson: boolean;
  reason: string | null;
}

/** Returns what a search in the lab requires. `settleS`: seconds until the lab lists what was submitted. */
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

/** Records that a search in the lab did not find the job's note. */
export async function recordLabSearch(sql: Queryable, id: number): Promise<void> {
  await sql`update jobs set looked_up_at = now() where id = ${id} and state = 'unknown'`;
}

/** Leaves an unknown job to a person, who cancels or retries it. Recorded once in its history. */
export async function leaveToPerson(sql: Queryable, id: number, reason: string): Promise<void> {
  await sql`
    with moved as (
      update jobs set needs_person = true, reason = ${reason}, updated_at = now()
      where id = ${id} and state = 'unknown' and not needs_person
      returning id
    )
    insert into job_events (job_id, state, cause) select id, 'unknown', ${reason} from moved`;
}

/** Requeues an unknown job, unless a person has taken it over meanwhile. Returns whether it did. */
export async function requeueUnknown(
  sql: Queryable,
  id: number,
  { cause, attempt }: { cause: string; attempt: number },
): Promise<boolean> {
  const [job] = await sql`
    select from jobs where id = ${id} and state = 'unknown' and not needs_person for update`;
  return job !== undefined && await moveJob(sql, id, { from: ["unknown"], to: "queued", cause, attempt });
}
