import { createHash } from "node:crypto";
import { HubError } from "../errors.ts";
import { type Counts, OUTCOMES } from "../schemas/outcome.ts";
import type { RunRecord } from "../schemas/record.ts";
import type { Db, Queryable } from "./client.ts";

export const STORE_MODES = ["replace", "append", "reject"] as const;
export type StoreMode = (typeof STORE_MODES)[number];

export interface StoreInput {
  testId: number;
  /** `runs.source`. */
  source: string;
  runs: RunRecord[];
  /** What a run that is there already means: its results are replaced, a new attempt is added, or it is refused. */
  mode: StoreMode;
}

export interface StoredRun {
  id: number;
  externalId: string;
  attempt: number;
  isNew: boolean;
  counts: Counts;
}

export interface Stored {
  /** In the order of the input; of runs named twice, the later one. */
  runs: StoredRun[];
  resultsWritten: number;
}

const OUTCOME_ID = new Map(OUTCOMES.map((name, at) => [name, at + 1]));
const MAX_ORDINAL = 32_767;
const PARTITION = 20_000;
const prepared = new WeakMap<Db, number>();

/** Makes the partitions that runs to come need; outside of any batch, since it takes a lock that all stores share. */
export async function prepareStore(sql: Db, expectedRuns: number): Promise<void> {
  const [row] = await sql<{ next: number }[]>`
    select coalesce(last_value, 0)::bigint as next from pg_sequences
    where schemaname = current_schema() and sequencename = 'runs_id_seq'`;
  const upTo = (row?.next ?? 0) + expectedRuns + PARTITION / 2;
  if ((prepared.get(sql) ?? 0) >= upTo) return;
  for (let id = row?.next ?? 0; id <= upTo + PARTITION; id += PARTITION) {
    await sql`select ensure_results_partition(${id})`;
  }
  prepared.set(sql, Math.floor(upTo / PARTITION) * PARTITION);
}

/**
 * Writes runs with their results: a handful of statements whatever their number. Writing the same again changes
 * nothing that is asked for. Call `prepareStore` before, and run inside a transaction.
 * @throws HubError CONFLICT in mode `reject` where a run is there
 */
export async function storeRuns(tx: Queryable, input: StoreInput): Promise<Stored> {
  const runs = lastOfEach(input.runs);
  if (runs.length === 0) return { runs: [], resultsWritten: 0 };
  const heads = await writeHeads(tx, input, runs);
  const byKey = new Map(heads.map((head) => [keyOf(head.externalId, head.asked), head]));
  const replaced = heads.filter((head) => !head.isNew && !head.isSame).map((head) => head.id);
  if (replaced.length > 0) await tx`delete from results where run_id = any(${replaced}::bigint[])`;
  const written = runs.flatMap((run) => {
    const { id, isSame } = byKey.get(keyOf(run.externalId, run.attempt))!;
    return isSame ? [] : [{ id, run }];
  });
  const columns = await toColumns(tx, input.testId, written);
  if (columns.runIds.length > 0) await writeResults(tx, columns);
  return {
    runs: runs.map((run) => {
      const head = byKey.get(keyOf(run.externalId, run.attempt))!;
      return {
        id: head.id,
        externalId: run.externalId,
        attempt: head.attempt,
        isNew: head.isNew,
        counts: countsOf(run),
      };
    }),
    resultsWritten: columns.runIds.length,
  };
}

function keyOf(externalId: string, attempt: number): string {
  return `${attempt} ${externalId}`;
}

function lastOfEach(runs: RunRecord[]): RunRecord[] {
  return [...new Map(runs.map((run) => [keyOf(run.externalId, run.attempt), run])).values()];
}

function countsOf(run: RunRecord): Counts {
  const counts: Counts = {};
  for (const { outcome } of run.results) counts[outcome] = (counts[outcome] ?? 0) + 1;
  return counts;
}

interface Head {
  id: number;
  externalId: string;
  /** The attempt that was asked for, and the one it became. */
  asked: number;
  attempt: number;
  isNew: boolean;
  /** Whether all of it is stored already. */
  isSame: boolean;
}

/** Hash of all that is stored of a run. */
function contentOf(run: RunRecord): string {
  const { results, ...head } = run;
  const hash = createHash("sha256").update(JSON.stringify(head));
  for (const result of results) hash.update("\n").update(JSON.stringify(result));
  return hash.digest("hex").slice(0, 32);
}

/** Interns environments, packages and axes, then the runs themselves. */
async function writeHeads(
  tx: Queryable,
  { testId, source, mode }: StoreInput,
  runs: RunRecord[],
): Promise<Head[]> {
  const environments = runs.map((run) => JSON.stringify(run.environment));
  const axes = runs.map((run) => run.axis);
  const packages = runs.map((run) => run.package ?? null);
  await tx`
    with asked as (
      select distinct keys::jsonb as keys from unnest(${environments}::text[]) as keys
    )
    insert into environments (keys) select keys from asked
    where not exists (select from environments where environments.hash = md5(asked.keys::text)::uuid)
    order by keys::text
    on conflict (hash) do nothing`;
  await tx`
    insert into axes (name) select distinct name from unnest(${axes}::text[]) as name
    where not exists (select from axes where axes.name = name.name) order by name on conflict (name) do nothing`;
  await tx`
    insert into packages (name) select distinct name from unnest(${packages}::text[]) as name
    where name is not null and not exists (select from packages where packages.name = name.name)
    order by name on conflict (name) do nothing`;
  const rows = await tx<Head[]>`
    with asked as (
      select place, external_id, attempt, axis, changelist, package, environment::jsonb as keys, status, reason,
        started_at, finished_at, url, serial, counts::jsonb as counts, decode(content, 'hex') as content
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
        ${runs.map((run) => JSON.stringify(countsOf(run)))}::text[], ${runs.map(contentOf)}::text[]
      ) with ordinality as asked (external_id, attempt, axis, changelist, package, environment, status, reason, started_at,
        finished_at, url, serial, counts, content, place)
    ), placed as (
      select asked.*, case when ${mode} = 'append' then asked.attempt + coalesce(
        (select max(runs.attempt) from runs where runs.source = ${source} and runs.external_id = asked.external_id), 0)
        else asked.attempt end as final_attempt
      from asked
    ), written as (
      insert into runs (test_id, source, external_id, attempt, axis_id, changelist, package_id, environment_id, status,
        reason, started_at, finished_at, url, serial, counts, content)
      select ${testId}, ${source}, placed.external_id, placed.final_attempt, axes.id, placed.changelist, packages.id,
        environments.id, placed.status, placed.reason, placed.started_at, placed.finished_at, placed.url, placed.serial,
        placed.counts, placed.content
      from placed
        join axes on axes.name = placed.axis
        join environments on environments.hash = md5(placed.keys::text)::uuid
        left join packages on packages.name = placed.package
      order by placed.external_id, placed.final_attempt
      on conflict (source, external_id, attempt) do update set
        test_id = excluded.test_id, axis_id = excluded.axis_id, changelist = excluded.changelist,
        package_id = excluded.package_id, environment_id = excluded.environment_id, status = excluded.status,
        reason = excluded.reason, started_at = excluded.started_at, finished_at = excluded.finished_at,
        url = excluded.url, serial = excluded.serial, counts = excluded.counts,
        content = excluded.content, version = runs.version + 1, updated_at = now()
        where ${mode} = 'replace' and (runs.content <> excluded.content or runs.test_id <> excluded.test_id)
      returning id, external_id, attempt, version = 1 as is_new
    )
    select coalesce(written.id, same.id) as id, placed.external_id as "externalId", placed.attempt as asked,
      placed.final_attempt as attempt, coalesce(written.is_new, false) as "isNew", written.id is null as "isSame"
    from placed
      left join written on written.external_id = placed.external_id and written.attempt = placed.final_attempt
      left join runs as same on written.id is null and ${mode} = 'replace' and same.source = ${source}
        and same.external_id = placed.external_id and same.attempt = placed.final_attempt
    order by placed.place`;
  if (mode === "replace" && rows.some((row) => row.id === null)) await findRaced(tx, source, rows);
  const refused = rows.find((row) => row.id === null);
  if (refused !== undefined) {
    throw new HubError(
      "CONFLICT",
      `The run ${
        JSON.stringify(refused.externalId)
      } (attempt ${refused.attempt}) of ${source} is there already.`,
    );
  }
  return [...rows];
}

/** Finds the runs that another store wrote, with the same content, while this one's statement ran. */
async function findRaced(tx: Queryable, source: string, heads: Head[]): Promise<void> {
  const missing = heads.filter((head) => head.id === null);
  const rows = await tx<{ id: number; externalId: string; attempt: number }[]>`
    select runs.id, runs.external_id as "externalId", runs.attempt
    from unnest(${missing.map((head) => head.externalId)}::text[], ${
    missing.map((head) => head.attempt)
  }::int[])
        as missing (external_id, attempt)
      join runs on runs.source = ${source} and runs.external_id = missing.external_id
        and runs.attempt = missing.attempt`;
  const ids = new Map(rows.map((row) => [keyOf(row.externalId, row.attempt), row.id]));
  for (const head of missing) head.id = ids.get(keyOf(head.externalId, head.attempt)) ?? head.id;
}

interface ResultColumns {
  runIds: number[];
  caseIds: number[];
  ordinals: number[];
  outcomes: number[];
  changelists: number[];
  durations: (number | null)[];
  words: (string | null)[];
  messages: (string | null)[];
}

async function toColumns(
  tx: Queryable,
  testId: number,
  runs: { id: number; run: RunRecord }[],
): Promise<ResultColumns> {
  const names = [...new Set(runs.flatMap(({ run }) => run.results.map((result) => result.case)))];
  const ids = await internCases(tx, testId, names);
  const columns: ResultColumns = {
    runIds: [],
    caseIds: [],
    ordinals: [],
    outcomes: [],
    changelists: [],
    durations: [],
    words: [],
    messages: [],
  };
  for (const { id, run } of runs) {
    const times = new Map<number, number>();
    for (const result of run.results) {
      const caseId = ids.get(result.case)!;
      const ordinal = (times.get(caseId) ?? 0) + 1;
      if (ordinal > MAX_ORDINAL) {
        throw new HubError(
          "BAD_REQUEST",
          `The case ${JSON.stringify(result.case)} is named more than ${MAX_ORDINAL} times in one run.`,
        );
      }
      times.set(caseId, ordinal);
      columns.runIds.push(id);
      columns.caseIds.push(caseId);
      columns.ordinals.push(ordinal);
      columns.outcomes.push(OUTCOME_ID.get(result.outcome)!);
      columns.changelists.push(run.changelist);
      columns.durations.push(result.durationMs ?? null);
      columns.words.push(result.word ?? null);
      columns.messages.push(result.message ?? null);
    }
  }
  return columns;
}

/** Ids of cases by name. New ones are made in one order, so that two stores never wait for each other in a ring. */
async function internCases(tx: Queryable, testId: number, names: string[]): Promise<Map<string, number>> {
  const find = () =>
    tx<{ id: number; name: string }[]>`
      select cases.id, asked.name
      from unnest(${names}::text[]) as asked (name)
        join cases on cases.test_id = ${testId} and cases.hash = md5(asked.name)::uuid`;
  let rows = await find();
  if (rows.length < names.length) {
    const known = new Set(rows.map((row) => row.name));
    const added = names.filter((name) => !known.has(name)).sort();
    await tx`
      insert into cases (test_id, name) select ${testId}, name from unnest(${added}::text[]) as name
      on conflict (test_id, hash) do nothing`;
    rows = await find();
  }
  return new Map(rows.map((row) => [row.name, row.id]));
}

async function writeResults(tx: Queryable, columns: ResultColumns): Promise<void> {
  await tx`
    insert into results (run_id, case_id, ordinal, outcome, changelist, duration_ms, word, message)
    select * from unnest(${columns.runIds}::bigint[], ${columns.caseIds}::int[], ${columns.ordinals}::smallint[],
      ${columns.outcomes}::smallint[], ${columns.changelists}::int[], ${columns.durations}::real[], ${columns.words}::text[],
      ${columns.messages}::text[])`;
}
