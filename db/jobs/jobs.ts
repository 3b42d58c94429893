import { HubError } from "../../errors.ts";
import type { Page } from "../../schemas/common.ts";
import type { Job, JobDetail, JobList, JobState } from "../../schemas/job.ts";
import { Conditions } from "../core/conditions.ts";
import type { Queryable } from "../core/queryable.ts";
import { decodeCursor, toPage } from "../core/cursor.ts";

const OPEN_STATES = [
  "queued",
  "submitting",
  "submitted",
  "running",
  "unknown",
] as const satisfies JobState[];

interface JobRow extends Omit<Job, "createdAt" | "updatedAt" | "nextAttemptAt"> {
  createdAt: Date;
  updatedAt: Date;
  nextAttemptAt: Date | null;
}

function toJob({ createdAt, updatedAt, nextAttemptAt, ...row }: JobRow): Job {
  return {
    ...row,
    nextAttemptAt: nextAttemptAt?.toISOString() ?? null,
    createdAt: createdAt.toISOString(),
    updatedAt: updatedAt.toISOString(),
  };
}

function columns(sql: Queryable) {
  return sql`
    jobs.id, tests.name as test, jobs.lab_test as "labTest", packages.name as package, jobs.changelist,
    jobs.package_url as "packageUrl", jobs.os, jobs.machine, jobs.pool, jobs.note, jobs.report, jobs.state, jobs.attempt,
    jobs.reason, case when jobs.state = 'queued' then jobs.next_attempt_at end as "nextAttemptAt",
    jobs.needs_person as "needsPerson",
    array(select serial from job_serials where job_id = jobs.id order by serial) as serials,
    array(
      select runs.id from job_serials join runs on runs.serial = job_serials.serial and runs.test_id = jobs.test_id
      where job_serials.job_id = jobs.id order by runs.id
    ) as runs,
    jobs.requested_by as "requestedBy", jobs.created_at as "createdAt", jobs.updated_at as "updatedAt",
    jobs.retry_of as "retryOf"`;
}

/** Lists jobs, newest first. */
export async function listJobs(sql: Queryable, input: JobList): Promise<Page<Job>> {
  const [before] = input.cursor === undefined ? [null] : decodeCursor(input.cursor, ["number"]);
  const where = new Conditions(sql)
    .below("jobs.id", before)
    .equal("tests.name", input.test)
    .equal("jobs.state", input.state)
    .equal("packages.name", input.package)
    .equal("jobs.changelist", input.changelist)
    .given(input.open, (open) => sql`(jobs.state = any(${[...OPEN_STATES]})) = ${open}`);
  const rows = await sql<JobRow[]>`
    select ${columns(sql)}
    from jobs join tests on tests.id = jobs.test_id left join packages on packages.id = jobs.package_id
    where ${where.all}
    order by jobs.id desc
    limit ${input.limit + 1}`;
  return toPage(rows, input.limit, toJob, (row) => [row.id]);
}

/** Returns jobs by id, in the given order. */
export async function listJobsById(sql: Queryable, ids: readonly number[]): Promise<Job[]> {
  const rows = await sql<JobRow[]>`
    select ${columns(sql)}
    from unnest(${[...ids]}::bigint[]) with ordinality as asked (id, place)
    join jobs on jobs.id = asked.id join tests on tests.id = jobs.test_id
    left join packages on packages.id = jobs.package_id
    order by asked.place`;
  return rows.map(toJob);
}

/** Returns a job with its output and history. @throws HubError NOT_FOUND */
export async function getJob(sql: Queryable, id: number): Promise<JobDetail> {
  const [row] = await sql<(JobRow & ScrapedTest & { stdout: string | null; stderr: string | null })[]>`
    select ${columns(sql)}, jobs.stdout, jobs.stderr, ${scrapedTestColumns(sql)}
    from jobs join tests on tests.id = jobs.test_id left join packages on packages.id = jobs.package_id
    where jobs.id = ${id}`;
  if (row === undefined) throw new HubError("NOT_FOUND", `There is no job ${id}.`);
  const events = await sql<{ at: Date; state: JobState; cause: string }[]>`
    select at, state, cause from (
      select id, at, state, cause from job_events where job_id = ${id} order by id desc limit 1000
    ) as newest order by id`;
  const { stdout, stderr, scraper, enabled, scrapedAs, ...job } = row;
  return {
    ...toJob(job),
    stdout,
    stderr,
    events: events.map((event) => ({ ...event, at: event.at.toISOString() })),
    warnings: unscraped({ scraper, enabled, scrapedAs }, job),
  };
}

/** The test settings that decide whether its jobs' results are read. */
export interface ScrapedTest {
  scraper: string;
  enabled: boolean;
  /** The name of the test in the lab, from the scraper's settings; null if they have none. */
  scrapedAs: string | null;
}

function scrapedTestColumns(sql: Queryable) {
  return sql`tests.scraper, tests.enabled, tests.settings ->> 'test' as "scrapedAs"`;
}

/** Returns the reasons why a job's results in the lab will not be read; empty if they will be. */
function unscraped(
  { scraper, enabled, scrapedAs }: ScrapedTest,
  { test, labTest }: { test: string; labTest: string },
): string[] {
  const what = `This job's results in the lab will not be read: the test ${JSON.stringify(test)}`;
  if (scraper !== "vrl") {
    return [
      `${what} is not scraped from the lab (its scraper is ${
        JSON.stringify(scraper)
      }). Push them, or give the test the scraper "vrl".`,
    ];
  }
  const read = scrapedAs ?? test;
  if (read !== labTest) {
    return [
      `${what} reads jobs of ${JSON.stringify(read)}, and this job runs ${
        JSON.stringify(labTest)
      }. Set the scraper's \`test\` to that name.`,
    ];
  }
  if (!enabled) return [`${what} is disabled. Enable it, or start a scrape once the job is over.`];
  return [];
}

/**
 * Moves a job to state `to` if its state is in `from` and, if `attempt` is given, that is its latest attempt. Records the
 * cause. Returns whether it moved: of two concurrent moves, one succeeds.
 */
export async function moveJob(
  sql: Queryable,
  id: number,
  { from, to, cause, reason, attempt, stdout, stderr }: {
    from: readonly JobState[];
    to: JobState;
    /** Cause for the history. */
    cause: string;
    /** Reason shown with the new state. */
    reason?: string | undefined;
    attempt?: number | undefined;
    stdout?: string | undefined;
    stderr?: string | undefined;
  },
): Promise<boolean> {
  const moved = await sql`
    with moved as (
      update jobs set state = ${to}, reason = ${reason ?? null}, needs_person = false, next_attempt_at = null,
        updated_at = now(), stdout = coalesce(${stdout ?? null}, stdout), stderr = coalesce(${
    stderr ?? null
  }, stderr)
      where id = ${id} and state = any(${[...from]}) and attempt = coalesce(${attempt ?? null}::int, attempt)
      returning id
    )
    insert into job_events (job_id, state, cause) select id, ${to}, ${cause} from moved
    returning job_id`;
  return moved.length > 0;
}
