import type { JobState } from "../schemas/job.ts";
import type { Db, Queryable } from "./client.ts";
import { moveJob } from "./jobs.ts";

/** What a submission is made of. */
export interface JobToSubmit {
  id: number;
  attempt: number;
  labTest: string;
  packageUrl: string;
  os: string;
  machine: string | null;
  pool: string | null;
  note: string;
  report: "email" | "none";
}

/** The mark in a submitted note by which the lab's job is found again. */
export function jobMark(id: number, attempt: number): string {
  return `[chub job ${id}.${attempt}]`;
}

/**
 * Records that a submission begins, before anything is run: from here on the job may be in the lab. Undefined where the
 * job is no longer queued.
 */
export async function beginAttempt(
  sql: Db,
  id: number,
  timeLimitMs: number,
): Promise<JobToSubmit | undefined> {
  return await sql.begin(async (tx) => {
    const [job] = await tx<JobToSubmit[]>`
      update jobs set state = 'submitting', attempt = attempt + 1, updated_at = now(),
        attempt_ends_at = now() + make_interval(secs => ${timeLimitMs / 1000})
      where id = ${id} and state = 'queued'
      returning id, attempt, lab_test as "labTest", package_url as "packageUrl", os, machine, pool, note, report`;
    if (job === undefined) return undefined;
    await tx`insert into job_events (job_id, state, cause) values (${id}, 'submitting', ${`attempt ${job.attempt} begins`})`;
    return job;
  });
}

/**
 * Records the serials the lab gave. False where one of them belongs to another job: then the lab's word cannot be
 * trusted and nothing is written.
 */
export async function acceptJob(
  sql: Db,
  id: number,
  { serials, cause, stdout, stderr }: { serials: number[]; cause: string; stdout?: string; stderr?: string },
): Promise<boolean> {
  return await sql.begin(async (tx) => {
    const others =
      await tx`select serial from job_serials where serial = any(${serials}) and job_id <> ${id}`;
    if (others.length > 0) return false;
    const moved = await moveJob(tx, id, {
      from: ["submitting", "unknown"],
      to: "submitted",
      cause,
      stdout,
      stderr,
    });
    if (!moved) return false;
    await tx`
      insert into job_serials (serial, job_id) select unnest(${serials}::bigint[]), ${id} on conflict (serial) do nothing`;
    return true;
  });
}

/** Jobs that a worker left behind: `submitting` for longer than the binary can run. They become `unknown`. */
export async function markAbandonedJobs(sql: Queryable): Promise<number[]> {
  const rows = await sql<{ id: number }[]>`
    with moved as (
      update jobs set state = 'unknown', updated_at = now()
      where state = 'submitting' and attempt_ends_at < now()
      returning id
    ), told as (
      insert into job_events (job_id, state, cause)
      select id, 'unknown', 'the worker that submitted it is gone; the lab is asked for its note' from moved
    )
    select id from moved`;
  return rows.map((row) => row.id);
}

/** Ids of jobs in a state, unchanged for `olderThanS` seconds; oldest first. */
export async function listJobIds(
  sql: Queryable,
  { state, olderThanS, limit }: { state: JobState; olderThanS: number; limit: number },
): Promise<number[]> {
  const rows = await sql<{ id: number }[]>`
    select id from jobs
    where state = ${state} and updated_at <= now() - make_interval(secs => ${olderThanS})
    order by id limit ${limit}`;
  return rows.map((row) => row.id);
}

/** What is needed to look a job up in the lab. */
export async function findUnknownJob(
  sql: Queryable,
  id: number,
): Promise<{ id: number; attempt: number; isOver: boolean } | undefined> {
  const [row] = await sql<{ id: number; attempt: number; isOver: boolean }[]>`
    select id, attempt, coalesce(attempt_ends_at < now(), true) as "isOver" from jobs where id = ${id} and state = 'unknown'`;
  return row;
}

export async function listSerials(sql: Queryable, id: number): Promise<number[]> {
  const rows = await sql<
    { serial: number }[]
  >`select serial from job_serials where job_id = ${id} order by serial`;
  return rows.map((row) => row.serial);
}

export async function hasOpenLabJobs(sql: Queryable): Promise<boolean> {
  const [row] = await sql<{ open: boolean }[]>`
    select exists (select from jobs where state in ('submitted', 'running')) as open`;
  return row!.open;
}

export async function findLabCursor(sql: Queryable, labUrl: string): Promise<string | null> {
  const [row] = await sql<{ cursor: string }[]>`select cursor from lab_cursor where lab_url = ${labUrl}`;
  return row?.cursor ?? null;
}

/**
 * Takes over what the lab says of its jobs, and moves the cursor, in one transaction. A job with several serials is over
 * when all are; the worst counts. Returns the ids of the tests whose jobs ended now.
 */
export async function followLab(
  sql: Db,
  labUrl: string,
  { jobs, cursor }: { jobs: { serial: number; state: string }[]; cursor: string | null },
): Promise<number[]> {
  return await sql.begin(async (tx) => {
    const ended = await tx<{ testId: number }[]>`
      with said as (
        select distinct on (serial) serial, state
        from unnest(${jobs.map((job) => job.serial)}::bigint[], ${jobs.map((job) => job.state)}::text[])
          with ordinality as said (serial, state, place)
        order by serial, place desc
      ), serials as (
        update job_serials set state = said.state from said
        where job_serials.serial = said.serial and job_serials.state <> said.state
        returning job_serials.job_id, job_serials.serial, job_serials.state
      ), latest as (
        select all_serials.job_id, array_agg(coalesce(serials.state, all_serials.state)) as states
        from job_serials as all_serials left join serials using (serial)
        where all_serials.job_id in (select job_id from serials)
        group by all_serials.job_id
      ), verdicts as (
        select job_id, case
          when states <@ array['queued'] then 'submitted'
          when states && array['queued', 'running'] then 'running'
          when 'lost' = any(states) then 'lost'
          when 'failed' = any(states) then 'failed'
          when 'cancelled' = any(states) then 'cancelled'
          else 'done' end as state
        from latest
      ), moved as (
        update jobs set state = verdicts.state, updated_at = now() from verdicts
        where jobs.id = verdicts.job_id and jobs.state in ('submitted', 'running') and jobs.state <> verdicts.state
        returning jobs.id, jobs.test_id, jobs.state
      ), told as (
        insert into job_events (job_id, state, cause) select id, state, 'the lab says so' from moved
      )
      select distinct test_id as "testId" from moved where state not in ('submitted', 'running')`;
    if (cursor !== null) {
      await tx`
        insert into lab_cursor (lab_url, cursor) values (${labUrl}, ${cursor})
        on conflict (lab_url) do update set cursor = excluded.cursor, updated_at = now()`;
    }
    return ended.map((row) => row.testId);
  });
}
