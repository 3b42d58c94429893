import type { Queryable } from "../core/queryable.ts";

/** What jobs that are requested together have in common. */
export interface NewJob {
  testId: number;
  labTest: string;
  packageId: number | null;
  os: string;
  machine: string | null;
  pool: string | null;
  note: string;
  report: string;
  retryOf: number | null;
}

/** Stores a queued job for each build, in their order, with its first event. Returns their ids. */
export async function insertJobs(
  tx: Queryable,
  job: NewJob,
  { builds, by, cause }: {
    builds: { changelist: number | null; url: string }[];
    by: string;
    cause: string;
  },
): Promise<number[]> {
  const rows = await tx<{ id: number }[]>`
    insert into jobs (test_id, lab_test, package_id, changelist, package_url, os, machine, pool, note, report, state,
      requested_by, retry_of)
    select ${job.testId}, ${job.labTest}, ${job.packageId}::int, build.changelist, build.url, ${job.os}, ${job.machine},
      ${job.pool}, ${job.note}, ${job.report}, 'queued', ${by}, ${job.retryOf}::bigint
    from unnest(${builds.map((build) => build.changelist)}::int[], ${
    builds.map((build) => build.url)
  }::text[]) with ordinality as build (changelist, url, place)
    order by build.place
    returning id`;
  const ids = rows.map((row) => row.id);
  await tx`
    insert into job_events (job_id, state, cause)
    select id, 'queued', ${cause} from unnest(${ids}::bigint[]) as made (id)`;
  return ids;
}
