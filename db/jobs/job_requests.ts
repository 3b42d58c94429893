import { HubError } from "../../errors.ts";
import type { JobInput } from "../../schemas/job.ts";
import { type Author, recordAudit } from "../access/audit.ts";
import type { Db, Queryable } from "../core/queryable.ts";
import { findRemovedRoot } from "../drop/drop_roots.ts";
import { missing, type SubmitDefaults, whatToRun } from "./job_builds.ts";
import { leaveToPerson } from "./job_progress.ts";
import { getJob, moveJob } from "./jobs.ts";
import { unknownTest } from "../tests/tests.ts";

export interface RequestOptions {
  by: Author;
  idempotencyKey: string | undefined;
  /** URLs of the drop's roots; a package URL must lie under one. */
  dropRoots: readonly string[];
  /** Enqueues work on the jobs, in the transaction that makes it due. */
  enqueue(tx: Queryable, jobIds: number[]): Promise<unknown>;
}

/**
 * Stores a job, or one at each of `changelists`, and enqueues their submissions, in one transaction. The same idempotency key
 * with the same request answers with what the first made.
 * @throws HubError BAD_REQUEST, NOT_FOUND (test, build), CONFLICT (a key used for another request)
 */
export async function createJobs(
  sql: Db,
  input: JobInput,
  options: RequestOptions,
): Promise<{ ids: number[]; isNew: boolean }> {
  checkChangelists(input);
  const request = JSON.stringify(input);
  return await sql.begin(async (tx) => {
    const earlier = await findRepeat(tx, options, request);
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
    const rows = await tx<{ id: number }[]>`
      insert into jobs (test_id, lab_test, package_id, changelist, package_url, os, machine, pool, note, report, state, requested_by)
      select ${test.id}, ${input.labTest ?? test.submit.labTest ?? input.test}, ${
      builds[0]!.packageId
    }::int, build.changelist, build.url, ${os}, ${machine ?? null}, ${pool ?? null}, ${
      input.note ?? ""
    }, ${input.report}, 'queued', ${options.by.name}
      from unnest(${builds.map((build) => build.changelist)}::int[], ${
      builds.map((build) => build.url)
    }::text[]) with ordinality as build (changelist, url, place)
      order by build.place
      returning id`;
    const ids = rows.map((row) => row.id);
    if (input.changelists !== undefined) {
      await tx`update jobs set batch = ${ids[0]!} where id = any(${ids}::bigint[])`;
    }
    await tx`
      insert into job_events (job_id, state, cause)
      select id, 'queued', ${`requested by ${options.by.name}`} from unnest(${ids}::bigint[]) as made (id)`;
    await keepKey(tx, options, ids[0]!);
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

/** @throws HubError BAD_REQUEST if `changelists` stands beside what it replaces, or has a changelist twice */
function checkChangelists({ changelists, changelist, packageUrl }: JobInput): void {
  if (changelists === undefined) return;
  const other = changelist !== undefined ? "changelist" : packageUrl !== undefined ? "packageUrl" : undefined;
  if (other !== undefined) {
    throw new HubError("BAD_REQUEST", `Give either changelists or ${other}, got both.`, {
      issues: [{ path: other, message: "is given beside changelists" }],
    });
  }
  const repeats = changelists.flatMap((one, at) =>
    changelists.indexOf(one) === at
      ? []
      : [{ path: `changelists.${at}`, message: `is ${one}, as changelists.${changelists.indexOf(one)} is` }]
  );
  if (repeats.length > 0) {
    throw new HubError("BAD_REQUEST", "Each changelist makes one job: give it once.", { issues: repeats });
  }
}

/** The jobs that a request made, by the first of them. */
async function listBatch(tx: Queryable, first: number): Promise<number[]> {
  const rows = await tx<{ id: number }[]>`
    select id from jobs where id = ${first} or batch = ${first} order by id`;
  return rows.map((row) => row.id);
}

function scopeOf(options: RequestOptions): string {
  return `job:${options.by.name}`;
}

/** Takes the key for this transaction; a concurrent request with the same key waits here until the first has committed. */
async function findRepeat(
  tx: Queryable,
  options: RequestOptions,
  request: string,
): Promise<number | undefined> {
  const key = options.idempotencyKey;
  if (key === undefined) return undefined;
  const taken = await tx`
    insert into idempotency_keys (scope, key, request_hash, target_id)
    values (${scopeOf(options)}, ${key}, md5(${request}), 0)
    on conflict do nothing
    returning key`;
  if (taken.length > 0) return undefined;
  const [row] = await tx<{ targetId: number; same: boolean }[]>`
    select target_id as "targetId", request_hash = md5(${request}) as same
    from idempotency_keys where scope = ${scopeOf(options)} and key = ${key}`;
  if (row?.same !== true) {
    throw new HubError(
      "CONFLICT",
      `The Idempotency-Key ${JSON.stringify(key)} was used for another job (${row?.targetId}).`,
    );
  }
  return row.targetId;
}

/** Ties the key that `findRepeat` took to what was made. */
async function keepKey(tx: Queryable, options: RequestOptions, targetId: number): Promise<void> {
  if (options.idempotencyKey === undefined) return;
  await tx`
    update idempotency_keys set target_id = ${targetId}
    where scope = ${scopeOf(options)} and key = ${options.idempotencyKey}`;
}

/** Asks anew for a job that is over, or that a person gives up waiting for: a new job that names the old one. */
export async function retryJob(
  sql: Db,
  id: number,
  options: RequestOptions,
): Promise<{ id: number; isNew: boolean }> {
  return await sql.begin(async (tx) => {
    const earlier = await findRepeat(tx, options, `retry ${id}`);
    if (earlier !== undefined) return { id: earlier, isNew: false };
    // Before it is read: a look-up that takes it up again at this moment comes first, or finds this.
    const cause = `to be retried by ${options.by.name}: not submitted again by itself`;
    await leaveToPerson(tx, id, cause);
    const old = await getJob(tx, id);
    if (["queued", "submitting", "submitted", "running"].includes(old.state)) {
      throw new HubError(
        "CONFLICT",
        `Job ${id} is ${old.state}; only one that is over or unknown can be tried again.`,
      );
    }
    const removed = await findRemovedRoot(tx, old.packageUrl);
    if (removed !== undefined) {
      throw new HubError(
        "CONFLICT",
        `Job ${id} cannot be tried again: its package lies under ${removed}, which DROP_URLS names no more.`,
      );
    }
    const [row] = await tx<{ id: number }[]>`
      insert into jobs (test_id, lab_test, package_id, changelist, package_url, os, machine, pool, note, report, state,
        requested_by, retry_of)
      select test_id, lab_test, package_id, changelist, package_url, os, machine, pool, note, report, 'queued',
        ${options.by.name}, id
      from jobs where id = ${id}
      returning id`;
    const newId = row!.id;
    await tx`
      insert into job_events (job_id, state, cause)
      values (${newId}, 'queued', ${`retry of job ${id}, requested by ${options.by.name}`})`;
    await keepKey(tx, options, newId);
    await options.enqueue(tx, [newId]);
    await recordAudit(tx, options.by, {
      action: "job.retry",
      object: `job ${newId}`,
      after: { retryOf: id },
    });
    return { id: newId, isNew: true };
  });
}

/**
 * Cancels a job: at once while the lab has not got it, else by asking the lab (`enqueue`). One that may be on its way
 * to the lab cannot be cancelled yet.
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
      // The lab may have it.
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
        ? `Job ${id} is being submitted this moment; cancel it once the lab has answered.`
        : `Job ${id} is ${job.state}; there is nothing to cancel.`,
    );
  });
}
