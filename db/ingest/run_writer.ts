import { createHash } from "node:crypto";
import { HubError } from "../../errors.ts";
import type { Counts } from "../../schemas/outcome.ts";
import { parsePackage } from "../../schemas/package_name.ts";
import type { Placed, RunHead, RunRecord } from "../../schemas/record.ts";
import type { Db, Queryable } from "../core/queryable.ts";
import { internCases } from "./cases.ts";
import { type RunRows, writeRows } from "./result_rows.ts";
import { reviveRuns } from "../results/retention.ts";
import { type ResultSpool, spoolOf } from "./spool.ts";

/** What to do with a run that exists: replace its results, keep it, add an attempt, or reject the push. */
export type StoreMode = "replace" | "keep" | "append" | "reject";

export interface StoreInput {
  testId: number;
  /** `runs.source`. */
  source: string;
  runs: (Placed<RunRecord> | SpooledRun)[];
  /** What to do with a run that exists. */
  mode: StoreMode;
}

/** A run whose results are in a spool. */
export interface SpooledRun extends Placed<RunHead> {
  results: ResultSpool;
}

export interface StoredRun {
  id: number;
  externalId: string;
  attempt: number;
  isNew: boolean;
  counts: Counts;
}

export interface Stored {
  /** In input order; if a run occurs twice, its last occurrence. */
  runs: StoredRun[];
  resultsWritten: number;
}

const PARTITION = 20_000;
const prepared = new WeakMap<Db, number>();

/** Creates the partitions for coming runs, outside any batch, because it takes a lock that all stores share. */
export async function prepareStore(sql: Db, expectedRuns: number): Promise<void> {
  const [row] = await sql<{ next: number }[]>`
    select coalesce(last_value, 0)::bigint as next from pg_sequences
    where schemaname = current_schema() and sequencename = 'runs_id_seq'`;
  const upTo = (row?.next ?? 0) + expectedRuns + PARTITION / 2;
  if ((prepared.get(sql) ?? 0) >= upTo) return;
  let last = row?.next ?? 0;
  for (let id = last; id <= upTo + PARTITION; id += PARTITION) {
    await sql`select ensure_results_partition(${id})`;
    last = id;
  }
  prepared.set(sql, (Math.floor(last / PARTITION) + 1) * PARTITION);
}

/**
 * Writes runs with their results in a constant number of statements. Rewriting the same runs changes nothing that a query
 * returns. Call `prepareStore` before, and run inside a transaction.
 * @throws HubError CONFLICT in mode `reject` if a run exists; BAD_REQUEST if a run names a case more than 32,767 times
 */
export async function storeRuns(tx: Queryable, input: StoreInput): Promise<Stored> {
  const runs = lastOfEach(input.runs).map(({ results, ...head }): SpooledRun => ({
    ...head,
    results: Array.isArray(results) ? spoolOf(results) : results,
  }));
  if (runs.length === 0) return { runs: [], resultsWritten: 0 };
  const heads = await writeHeads(tx, input, runs);
  const replaced = heads.filter((head) => !head.isNew && !head.isSame).map((head) => head.id);
  if (replaced.length > 0) {
    await deleteResults(tx, replaced);
    await reviveRuns(tx, replaced);
  }
  const changed = heads.flatMap((head, at): RunRows[] => {
    const run = runs[at]!;
    return head.isSame || run.results.count === 0
      ? []
      : [{ id: head.id, changelist: run.changelist, results: run.results }];
  });
  if (changed.length > 0) {
    await internCases(tx, input.testId, changed.map((run) => run.results));
    await writeRows(tx, changed);
  }
  return {
    runs: heads.map((head, at) => ({
      id: head.id,
      externalId: head.externalId,
      attempt: head.attempt,
      isNew: head.isNew,
      counts: runs[at]!.results.counts,
    })),
    resultsWritten: changed.reduce((sum, run) => sum + run.results.count, 0),
  };
}

async function deleteResults(tx: Queryable, runIds: number[]): Promise<void> {
  await tx`
    with gone as (delete from results where run_id = any(${runIds}::bigint[]))
    delete from samples where run_id = any(${runIds}::bigint[])`;
}

function keyOf(externalId: string, attempt: number): string {
  return `${attempt} ${externalId}`;
}

function lastOfEach<R extends Pick<RunHead, "externalId" | "attempt">>(runs: R[]): R[] {
  return [...new Map(runs.map((run) => [keyOf(run.externalId, run.attempt), run])).values()];
}

interface Head {
  id: number;
  externalId: string;
  /** The requested attempt, and the stored one. */
  asked: number;
  attempt: number;
  isNew: boolean;
  /** Whether the run is already stored with the same content. */
  isSame: boolean;
}

/** Hash of everything stored of a run, in hexadecimal. */
export function contentOf({ results, ...head }: SpooledRun): string {
  return createHash("sha256").update(JSON.stringify(head)).update(results.digest()).digest("hex").slice(
    0,
    32,
  );
}

/** Creates missing environments, packages and axes, then writes the runs. */
async function writeHeads(
  tx: Queryable,
  { testId, source, mode }: StoreInput,
  runs: SpooledRun[],
): Promise<Head[]> {
  const environments = runs.map((run) => JSON.stringify(run.environment));
  const axes = runs.map((run) => run.axis);
  const packages = runs.map((run) => run.package ?? null);
  const parsed = [...new Set(packages)].flatMap((name) => name === null ? [] : [parsePackage(name)]);
  await tx`
    with asked as (
      select distinct keys::jsonb as keys from unnest(${environments}::text[]) as keys
    ), made_environments as (
      insert into environments (keys) select keys from asked
      where not exists (select from environments where environments.hash = md5(asked.keys::text)::uuid)
      order by keys::text
      on conflict (hash) do nothing
    ), made_axes as (
      insert into axes (name) select distinct name from unnest(${axes}::text[]) as name
      where not exists (select from axes where axes.name = name.name) order by name on conflict (name) do nothing
    )
    insert into packages (name, branch, build)
    select named.name, named.branch, named.build
    from unnest(${parsed.map((one) => one.name)}::text[], ${parsed.map((one) => one.branch)}::text[],
      ${parsed.map((one) => one.build)}::text[]) as named (name, branch, build)
    where not exists (select from packages where packages.name = named.name)
    order by name on conflict (name) do nothing`;
  const rows = await tx<Head[]>`
    with asked as (
      select place, external_id, attempt, axis, changelist, package, environment::jsonb as keys, status, reason,
        started_at, finished_at, url, serial, counts::jsonb as counts, samples, decode(content, 'hex') as content
      from unnest(
        ${runs.map((run) => run.externalId)}::text[], ${
    runs.map((run) => run.attempt)
  }::int[], ${axes}::text[],
        ${runs.map((run) => run.changelist)}::int[], ${packages}::text[], ${environments}::text[],
        ${runs.map((run) => run.status)}::text[], ${runs.map((run) => run.reason ?? null)}::text[],
        ${runs.map((run) => run.startedAt ?? null)}::timestamptz[], ${
    runs.map((run) => run.finishedAt ?? null)
  }::timestamptz[],
        ${runs.map((run) => run.url ?? null)}::text[], ${runs.map((run) => run.serial ?? null)}::bigint[],
        ${runs.map((run) => JSON.stringify(run.results.counts))}::text[],
        ${runs.map((run) => run.results.samples)}::int[], ${runs.map(contentOf)}::text[]
      ) with ordinality as asked (external_id, attempt, axis, changelist, package, environment, status, reason, started_at,
        finished_at, url, serial, counts, samples, content, place)
    ), placed as (
      select asked.*, case when ${mode} = 'append' then asked.attempt + coalesce(
        (select max(runs.attempt) from runs where runs.test_id = ${testId} and runs.source = ${source}
          and runs.external_id = asked.external_id), 0)
        else asked.attempt end as final_attempt
      from asked
    ), written as (
      insert into runs (test_id, source, external_id, attempt, axis_id, changelist, package_id, environment_id, status,
        reason, started_at, finished_at, url, serial, counts, samples, content)
      select ${testId}, ${source}, placed.external_id, placed.final_attempt, axes.id, placed.changelist, packages.id,
        environments.id, placed.status, placed.reason, placed.started_at, placed.finished_at, placed.url, placed.serial,
        placed.counts, placed.samples, placed.content
      from placed
        join axes on axes.name = placed.axis
        join environments on environments.hash = md5(placed.keys::text)::uuid
        left join packages on packages.name = placed.package
      order by placed.external_id, placed.final_attempt
      on conflict (test_id, source, external_id, attempt) do update set
        axis_id = excluded.axis_id, changelist = excluded.changelist,
        package_id = excluded.package_id, environment_id = excluded.environment_id, status = excluded.status,
        reason = excluded.reason, started_at = excluded.started_at, finished_at = excluded.finished_at,
        url = excluded.url, serial = excluded.serial, counts = excluded.counts,
        samples = excluded.samples, content = excluded.content, version = runs.version + 1, updated_at = now()
        where ${mode} = 'replace' and runs.content <> excluded.content
          -- If the source has deleted its results, reading it again must not delete them here.
          and not (excluded.status = 'lab_error' and excluded.counts = '{}' and runs.counts <> '{}')
      returning id, external_id, attempt, version = 1 as is_new
    )
    select coalesce(written.id, same.id) as id, placed.external_id as "externalId", placed.attempt as asked,
      placed.final_attempt as attempt, coalesce(written.is_new, false) as "isNew", written.id is null as "isSame"
    from placed
      left join written on written.external_id = placed.external_id and written.attempt = placed.final_attempt
      left join runs as same on written.id is null and ${mode} in ('replace', 'keep') and same.test_id = ${testId}
        and same.source = ${source} and same.external_id = placed.external_id and same.attempt = placed.final_attempt
    order by placed.place`;
  if ((mode === "replace" || mode === "keep") && rows.some((row) => row.id === null)) {
    await findRaced(tx, { testId, source }, rows);
  }
  const refused = rows.find((row) => row.id === null);
  if (refused !== undefined) {
    throw new HubError(
      "CONFLICT",
      `The run ${
        JSON.stringify(refused.externalId)
      } (attempt ${refused.attempt}) of ${source} already exists. Push it with mode replace, merge or append.`,
    );
  }
  return [...rows];
}

/** Finds runs that a concurrent store wrote, with the same content, while this store's statement ran. */
async function findRaced(
  tx: Queryable,
  { testId, source }: { testId: number; source: string },
  heads: Head[],
): Promise<void> {
  const missing = heads.filter((head) => head.id === null);
  const rows = await tx<{ id: number; externalId: string; attempt: number }[]>`
    select runs.id, runs.external_id as "externalId", runs.attempt
    from unnest(${missing.map((head) => head.externalId)}::text[], ${
    missing.map((head) => head.attempt)
  }::int[])
        as missing (external_id, attempt)
      join runs on runs.test_id = ${testId} and runs.source = ${source} and runs.external_id = missing.external_id
        and runs.attempt = missing.attempt`;
  const ids = new Map(rows.map((row) => [keyOf(row.externalId, row.attempt), row.id]));
  for (const head of missing) head.id = ids.get(keyOf(head.externalId, head.attempt)) ?? head.id;
}
