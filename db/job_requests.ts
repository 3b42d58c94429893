import { HubError } from "../errors.ts";
import type { JobInput } from "../schemas/job.ts";
import { type Author, recordAudit } from "./audit.ts";
import type { Db, Queryable } from "./client.ts";
import { getBuildFor } from "./builds.ts";
import { findRemovedRoot } from "./drop_roots.ts";
import { getJob, moveJob } from "./jobs.ts";
import { unknownTest } from "./tests.ts";

export interface RequestOptions {
  by: Author;
  idempotencyKey: string | undefined;
  /** URLs of the drop's roots; a package URL must lie under one. */
  dropRoots: readonly string[];
  /** Enqueues the submission in the job's own transaction. */
  enqueue(tx: Queryable, jobId: number): Promise<unknown>;
}

interface SubmitDefaults {
  labTest?: string;
  os?: string;
  machine?: string;
  pool?: string;
  package?: string;
}

/**
 * Stores a job and enqueues its submission, in one transaction. The same idempotency key with the same request answers
 * with the first job.
 * @throws HubError BAD_REQUEST, NOT_FOUND (test, build), CONFLICT (a key used for another request)
 */
export async function createJob(
  sql: Db,
  input: JobInput,
  options: RequestOptions,
): Promise<{ id: number; isNew: boolean }> {
  const request = JSON.stringify(input);
  return await sql.begin(async (tx) => {
    const earlier = await findRepeat(tx, options, request);
    if (earlier !== undefined) return { id: earlier, isNew: false };
    const [test] = await tx<{ id: number; submit: SubmitDefaults; enabled: boolean }[]>`
      select id, submit, enabled from tests where name = ${input.test} and deleted_at is null`;
    if (test === undefined) throw await unknownTest(tx, input.test);
    const machine = input.machine ?? (input.pool === undefined ? test.submit.machine : undefined);
    const pool = machine === undefined ? input.pool ?? test.submit.pool : undefined;
    const os = input.os ?? test.submit.os;
    if (os === undefined) throw missing("os", "the operating system to run on");
    if (machine === undefined && pool === undefined) throw missing("pool", "a machine or a pool");
    const build = await whatToRun(tx, input, test.submit, options.dropRoots);
    const [row] = await tx<{ id: number }[]>`
      insert into jobs (test_id, lab_test, package_id, changelist, package_url, os, machine, pool, note, report, state, requested_by)
      values (${test.id}, ${
      input.labTest ?? test.submit.labTest ?? input.test
    }, ${build.packageId}, ${build.changelist},
        ${build.url}, ${os}, ${machine ?? null}, ${pool ?? null}, ${
      input.note ?? ""
    }, ${input.report}, 'queued',
        ${options.by.name})
      returning id`;
    const { id } = row!;
    await tx`insert into job_events (job_id, state, cause) values (${id}, 'queued', ${`requested by ${options.by.name}`})`;
    if (options.idempotencyKey !== undefined) {
      await tx`
        update idempotency_keys set target_id = ${id}
        where scope = ${scopeOf(options)} and key = ${options.idempotencyKey}`;
    }
    await options.enqueue(tx, id);
    await recordAudit(tx, options.by, {
      action: "job.submit",
      object: `job ${id}`,
      after: { test: input.test, packageUrl: build.url, changelist: build.changelist, os, machine, pool },
    });
    return { id, isNew: true };
  });
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

function missing(path: string, what: string): HubError {
  return new HubError("BAD_REQUEST", `A job needs ${what}: give it, or set the test's submit defaults.`, {
    issues: [{ path, message: "is missing, and the test has no default" }],
  });
}

async function whatToRun(tx: Queryable, input: JobInput, defaults: SubmitDefaults, roots: readonly string[]) {
  const name = input.package ?? (input.packageUrl === undefined ? defaults.package : undefined);
  if (input.packageUrl !== undefined) {
    const url = checkUnderRoot(input.packageUrl, roots);
    const [row] = name === undefined
      ? []
      : await tx<{ id: number }[]>`select id from packages where name = ${name}`;
    return { url, packageId: row?.id ?? null, changelist: input.changelist ?? null };
  }
  if (name === undefined) throw missing("package", "a package, or a packageUrl");
  if (input.changelist === undefined) throw missing("changelist", "a changelist, or a packageUrl");
  const build = await getBuildFor(tx, name, input.changelist);
  return { url: build.location, packageId: build.packageId, changelist: input.changelist };
}

/** The URL, normalised. @throws HubError BAD_REQUEST where it is not under one of the roots. */
export function checkUnderRoot(packageUrl: string, roots: readonly string[]): string {
  const bases = roots.map((root) =>
    new URL(root.replace(/^(?:index|s3|gcs)\+/, "").replace(/(?<!\/)\/*$/, "/")).href
  );
  if (URL.canParse(packageUrl)) {
    const url = new URL(packageUrl);
    const isPlain = url.username === "" && url.search === "" && url.hash === "" &&
      !/%(?:2f|5c|00|2e)|\\/i.test(url.pathname);
    if (isPlain && bases.some((base) => url.href.startsWith(base) && url.href.length > base.length)) {
      return url.href;
    }
  }
  throw new HubError(
    "BAD_REQUEST",
    `The package URL ${JSON.stringify(packageUrl)} does not lie under a root of the drop (${
      bases.join(", ")
    }); DROP_URLS names them.`,
    { issues: [{ path: "packageUrl", message: "must lie under a drop root" }] },
  );
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
    if (options.idempotencyKey !== undefined) {
      await tx`
        update idempotency_keys set target_id = ${newId}
        where scope = ${scopeOf(options)} and key = ${options.idempotencyKey}`;
    }
    await options.enqueue(tx, newId);
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
      return await recordAudit(tx, by, record);
    }
    if (job.state === "submitted" || job.state === "running") {
      await enqueue(tx, id);
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
