import { createHash } from "node:crypto";
import { HubError } from "../../errors.ts";
import type { JobInput } from "../../schemas/job.ts";
import { type Author, recordAudit } from "../access/audit.ts";
import { claimIdempotencyKey, completeIdempotencyKey, type IdempotencyKey } from "../core/idempotency.ts";
import type { Db, Queryable } from "../core/queryable.ts";
import { findRemovedRoot } from "../drop/drop_roots.ts";
import { missing, type SubmitDefaults, whatToRun } from "./job_builds.ts";
import { leaveToPerson } from "./job_progress.ts";
import { getJob, moveJob } from "./jobs.ts";
import { insertJobs, type NewJob } from "./new_jobs.ts";
import { unknownTest } from "../tests/tests.ts";

export interface RequestOptions {
  by: Author;
  idempotencyKey: string | undefined;
  /** URLs of the drop's roots; a package URL must be under one of them. */
  dropRoots: readonly string[];
  /** Enqueues work on the jobs, in the transaction that makes the work due. */
  enqueue(tx: Queryable, jobIds: number[]): Promise<unknown>;
}

/**
 * Stores one job, or one for each of `changelists`, and enqueues their submission in one transaction. A repeat with the
 * same idempotency key returns the jobs of the first request.
 * @throws HubError BAD_REQUEST, NOT_FOUND (test, build), CONFLICT (the key was used for another request)
 */
export async function createJobs(
  sql: Db,
  input: JobInput,
  options: RequestOptions,
): Promise<{ ids: number[]; isNew: boolean }> {
  checkChangelists(input);
  return await sql.begin(async (tx) => {
    const key = keyOf(options, JSON.stringify(input));
    const earlier = key === undefined ? undefined : await claimIdempotencyKey(tx, key);
    if (earlier !== undefined) return { ids: await listBatch(tx, earlier), isNew: false };
    const [test] = await tx<{ submit: SubmitDefaults; id: number }[]>`
      select id, submit from tests where name = ${input.test} and deleted_at is null`;
    if (test === undefined) throw await unknownTest(tx, input.test);
    const machine = input.machine ?? (input.pool === undefined ? test.submit.machine : undefined);
    const pool = machine === undefined ? input.pool ?? test.submit.pool : undefined;
    const os = input.os ?? test.submit.os;
    if (os === undefined) throw missing("os", "the operating system to run on");
    if (machine === undefined && pool === undefined) throw missing("pool", "a machine or a pool");
    const builds = await whatToRun(tx, input, test.submit, options.dropRoots);
    const ids = await insertJobs(tx, {
      testId: test.id,
      labTest: input.labTest ?? test.submit.labTest ?? input.test,
      packageId: builds[0]!.packageId,
      os,
      machine: machine ?? null,
      pool: pool ?? null,
      note: input.note ?? "",
      report: input.report,
      retryOf: null,
    }, { builds, by: options.by.name, cause: `requested by ${options.by.name}` });
    if (input.changelists !== undefined) {
      await tx`update jobs set batch = ${ids[0]!} where id = any(${ids}::bigint[])`;
    }
    if (key !== undefined) await completeIdempotencyKey(tx, key, ids[0]!);
    await options.enqueue(tx, ids);
    await recordAudit(tx, options.by, {
      action: "job.submit",
      object: ids.length === 1 ? `job ${ids[0]}` : `jobs ${ids[0]} to ${ids.at(-1)}`,
      after: {
        test: input.test,
        ...(ids.length === 1
          ? { packageUrl: builds[0]!.url, changelist: builds[0]!.changelist }
          : { ids, changelists: input.changelists }),
        os,
        machine,
        pool,
      },
    });
    return { ids, isNew: true };
  });
}

/** Checks `changelists`. @throws HubError BAD_REQUEST if it is combined with what it replaces, or has a duplicate */
function checkChangelists({ changelists, changelist, packageUrl }: JobInput): void {
  if (changelists === undefined) return;
  const other = changelist !== undefined ? "changelist" : packageUrl !== undefined ? "packageUrl" : undefined;
  if (other !== undefined) {
    throw new HubError(
      "BAD_REQUEST",
      `changelists and ${other} exclude each other, got both. Pass only one.`,
      {
        issues: [{ path: other, message: "cannot be combined with changelists" }],
      },
    );
  }
  const repeats = changelists.flatMap((one, at) =>
    changelists.indexOf(one) === at
      ? []
      : [{ path: `changelists.${at}`, message: `is ${one}, as changelists.${changelists.indexOf(one)} is` }]
  );
  if (repeats.length > 0) {
    throw new HubError(
      "BAD_REQUEST",
      "changelists has duplicates. Each changelist makes one job, so list it once.",
      { issues: repeats },
    );
  }
}

/** Ids of the jobs that a request made, by the id of the first. */
async function listBatch(tx: Queryable, first: number): Promise<number[]> {
  const rows = await tx<{ id: number }[]>`
    select id from jobs where id = ${first} or batch = ${first} order by id`;
  return rows.map((row) => row.id);
}

/** The key that a request came with, for its author. */
function keyOf({ by, idempotencyKey }: RequestOptions, request: string): IdempotencyKey | undefined {
  if (idempotencyKey === undefined) return undefined;
  const hash = createHash("md5").update(request).digest("hex");
  return { scope: `job:${by.name}`, key: idempotencyKey, request: hash, makes: "job" };
}

/** Retries a job that is over, or that a person no longer waits for: makes a new job that refers to the old one. */
export async function retryJob(
  sql: Db,
  id: number,
  options: RequestOptions,
): Promise<{ id: number; isNew: boolean }> {
  return await sql.begin(async (tx) => {
    const key = keyOf(options, `retry ${id}`);
    const earlier = key === undefined ? undefined : await claimIdempotencyKey(tx, key);
    if (earlier !== undefined) return { id: earlier, isNew: false };
    // Done before the job is read, so that a concurrent lab search either finishes first or sees this.
    await leaveToPerson(tx, id, `to be retried by ${options.by.name}, so not resubmitted automatically`);
    const old = await getJob(tx, id);
    if (["queued", "submitting", "submitted", "running"].includes(old.state)) {
      throw new HubError(
        "CONFLICT",
        `Job ${id} is ${old.state}; only a job that is over or unknown can be retried.`,
      );
    }
    const removed = await findRemovedRoot(tx, old.packageUrl);
    if (removed !== undefined) {
      throw new HubError(
        "CONFLICT",
        `Job ${id} cannot be retried: its package is under ${removed}, which is no longer in DROP_URLS.`,
      );
    }
    const [{ build, ...job }] = await tx<
      [Omit<NewJob, "retryOf"> & { build: { changelist: number | null; url: string } }]
    >`
      select test_id as "testId", lab_test as "labTest", package_id as "packageId", os, machine, pool, note, report,
        json_build_object('changelist', changelist, 'url', package_url) as build
      from jobs where id = ${id}`;
    const cause = `retry of job ${id}, requested by ${options.by.name}`;
    const [newId] = await insertJobs(tx, { ...job, retryOf: id }, {
      builds: [build],
      by: options.by.name,
      cause,
    });
    if (key !== undefined) await completeIdempotencyKey(tx, key, newId!);
    await options.enqueue(tx, [newId!]);
    await recordAudit(tx, options.by, {
      action: "job.retry",
      object: `job ${newId}`,
      after: { retryOf: id },
    });
    return { id: newId!, isNew: true };
  });
}

/**
 * Cancels a job: at once if the lab does not have it, otherwise by a request to the lab (`enqueue`). A job that is being
 * submitted cannot be cancelled yet.
 */
export async function cancelJob(
  sql: Db,
  id: number,
  { by, enqueue }: Pick<RequestOptions, "by" | "enqueue">,
): Promise<void> {
  await sql.begin(async (tx) => {
    const job = await getJob(tx, id);
    const cause = `cancelled by ${by.name}`;
    const record = { action: "job.cancel", object: `job ${id}`, before: { state: job.state } };
    if (await moveJob(tx, id, { from: ["queued", "unknown"], to: "cancelled", cause })) {
      // The lab may have an unknown job.
      if (job.state === "unknown") await enqueue(tx, [id]);
      return await recordAudit(tx, by, record);
    }
    if (job.state === "submitted" || job.state === "running") {
      await enqueue(tx, [id]);
      return await recordAudit(tx, by, record);
    }
    throw new HubError(
      "CONFLICT",
      job.state === "submitting"
        ? `Job ${id} is being submitted now; cancel it again in a few seconds.`
        : `Job ${id} is ${job.state}; there is nothing to cancel.`,
    );
  });
}
