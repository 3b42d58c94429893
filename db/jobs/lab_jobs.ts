import type { Db, Queryable } from "../core/queryable.ts";

/** What the lab reports about a job. */
export interface LabReport {
  serial: number;
  state: string;
  /** The lab's reason for the state. */
  reason?: string | null;
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
 * Stores the lab's reports and moves the cursor in one transaction. A job with several serials is over when all of them
 * are; the worst state counts. Returns the ids of the tests whose jobs ended now.
 */
export async function followLab(
  sql: Db,
  labUrl: string,
  { jobs, cursor, isReported = true }: {
    jobs: LabReport[];
    cursor: string | null;
    /** False if the state was only inferred because the lab does not know the job. */
    isReported?: boolean;
  },
): Promise<number[]> {
  return await sql.begin(async (tx) => {
    const ended = await tx<{ testId: number }[]>`
      with said as (
        select distinct on (serial) serial, state, reason
        from unnest(
          ${jobs.map((job) => job.serial)}::bigint[], ${jobs.map((job) => job.state)}::text[],
          ${jobs.map((job) => job.reason ?? null)}::text[]
        ) with ordinality as said (serial, state, reason, place)
        order by serial, place desc
      ), serials as (
        update job_serials set state = said.state, reason = said.reason,
          heard_at = case when ${isReported} then now() else heard_at end,
          missed_since = case when ${isReported} then null else missed_since end
        from said
        where job_serials.serial = said.serial
        returning job_serials.job_id, job_serials.serial, job_serials.state, job_serials.reason
      ), latest as (
        select all_serials.job_id, array_agg(coalesce(serials.state, all_serials.state)) as states,
          string_agg(distinct case when serials.serial is null then all_serials.reason else serials.reason end, '; ')
            filter (where coalesce(serials.state, all_serials.state) in ('failed', 'lost', 'cancelled')) as reason
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
          else 'done' end as state, left(reason, 1000) as reason
        from latest
      ), moved as (
        update jobs set state = verdicts.state, updated_at = now(),
          reason = case when verdicts.state in ('submitted', 'running') then null else verdicts.reason end
        from verdicts
        where jobs.id = verdicts.job_id and jobs.state in ('submitted', 'running') and jobs.state <> verdicts.state
        returning jobs.id, jobs.test_id, jobs.state, jobs.reason
      ), recorded as (
        insert into job_events (job_id, state, cause)
        select id, state, case when ${isReported} then 'reported by the lab' || coalesce(': ' || reason, '') else reason end
        from moved
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

/** Seconds without a report until the lab is queried for a single job: if it never reported the job, and if it did. */
const SILENT_S = { unheard: 30, heard: 300 } as const;

/** Serials that the lab has not reported for a long time; least recently queried first. */
export async function listSilentSerials(sql: Queryable, limit: number): Promise<number[]> {
  const rows = await sql<{ serial: number }[]>`
    select job_serials.serial
    from jobs join job_serials on job_serials.job_id = jobs.id
    where jobs.state in ('submitted', 'running') and job_serials.state in ('queued', 'running')
      and coalesce(job_serials.heard_at + make_interval(secs => ${SILENT_S.heard}),
        jobs.updated_at + make_interval(secs => ${SILENT_S.unheard})) <= now()
      and coalesce(job_serials.asked_at <= now() - make_interval(secs => ${SILENT_S.unheard}), true)
    order by job_serials.asked_at nulls first, job_serials.serial limit ${limit}`;
  return rows.map((row) => row.serial);
}

/**
 * Records a query to the lab for the serials `asked`. Serials that the lab does not know count as missing, from now or
 * from an earlier time; `failed` are serials without an answer. Returns the serials that have been missing for
 * `lostAfterS`.
 */
export async function recordLabQuery(
  sql: Queryable,
  { asked, missing, failed, lostAfterS }: {
    asked: number[];
    missing: number[];
    failed: number[];
    lostAfterS: number;
  },
): Promise<number[]> {
  const rows = await sql<{ serial: number; isLost: boolean }[]>`
    update job_serials set asked_at = now(),
      missed_since = case
        when serial = any(${missing}::bigint[]) then coalesce(missed_since, now())
        when serial = any(${failed}::bigint[]) then missed_since end
    where serial = any(${asked}::bigint[])
    returning serial, coalesce(missed_since <= now() - make_interval(secs => ${lostAfterS}), false) as "isLost"`;
  return rows.filter((row) => row.isLost && missing.includes(row.serial)).map((row) => row.serial);
}
