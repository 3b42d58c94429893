import { createHash } from "node:crypto";
import { HubError } from "../../errors.ts";
import type { Counts } from "../../schemas/outcome.ts";
import type { Queryable } from "../core/queryable.ts";
import { internCases } from "./cases.ts";
import { reviveRuns } from "../results/retention.ts";
import { writeRows } from "./result_rows.ts";
import { type ResultSpool, spoolOf } from "./spool.ts";
import { contentOf, type SpooledRun, type StoredRun, storeRuns } from "./run_writer.ts";

export interface MergeInput {
  testId: number;
  source: string;
  /** The piece: its run head and its results. Its attempt is replaced by the run's newest attempt. */
  piece: SpooledRun;
}

interface MergedRun {
  id: number;
  attempt: number;
  counts: Counts;
  samples: number;
  content: string;
  axis: string;
  changelist: number;
  package: string | null;
  environment: string;
  isKnownPiece: boolean;
  isExpired: boolean;
}

/** Number of cases whose results one statement deletes. */
const CASES_AT_ONCE = 50_000;

/**
 * Merges a piece into a run, and creates the run if it does not exist. The piece's results replace those of the cases
 * that it names; results of all other cases stay. A piece that the run already has changes nothing, even if the run was
 * replaced since. Call `prepareStore` before, and run inside a transaction.
 * @throws HubError CONFLICT if the piece's axis, changelist, package or environment differs from the run's
 */
export async function mergeRun(tx: Queryable, { testId, source, piece }: MergeInput): Promise<StoredRun> {
  const [newest] = await tx<{ attempt: number | null }[]>`
    select max(attempt) as attempt from runs
    where test_id = ${testId} and source = ${source} and external_id = ${piece.externalId}`;
  const head = { ...piece, attempt: newest?.attempt ?? 1 };
  const empty = { ...head, results: spoolOf([]) };
  const { runs: [made] } = await storeRuns(tx, { testId, source, runs: [empty], mode: "keep" });
  // A repeated piece must have the same hash, whatever attempt is the newest by then.
  const hash = contentOf({ ...piece, attempt: 1 });
  const run = await lockRun(tx, made!.id, hash);
  refuseOther(run, head);
  const { id, attempt } = run;
  const { results } = piece;
  if (run.isKnownPiece) {
    return { id, attempt, externalId: piece.externalId, isNew: false, counts: run.counts };
  }
  await tx`insert into run_pieces (run_id, content) values (${id}, decode(${hash}, 'hex'))`;
  await reviveRuns(tx, [id]);
  await internCases(tx, testId, [results]);
  // The results of an expired run were deleted, so the run has only this piece.
  if (run.isExpired) Object.assign(run, { counts: {}, samples: 0 });
  const gone = made!.isNew || run.isExpired ? { counts: {}, samples: 0 } : await deleteCases(tx, id, results);
  if (results.count > 0) await writeRows(tx, [{ id, changelist: run.changelist, results }]);
  const counts = withDelta(run.counts, gone.counts, results.counts);
  await tx`
    update runs set counts = ${JSON.stringify(counts)}::text::jsonb,
      samples = ${run.samples - gone.samples + results.samples},
      content = decode(${createHash("sha256").update(run.content + hash).digest("hex").slice(0, 32)}, 'hex'),
      started_at = least(started_at, ${piece.startedAt ?? null}::timestamptz),
      finished_at = greatest(finished_at, ${piece.finishedAt ?? null}::timestamptz),
      url = coalesce(url, ${piece.url ?? null}),
      version = version + ${made!.isNew ? 0 : 1}, updated_at = now()
    where id = ${id}`;
  return { id, attempt, externalId: piece.externalId, isNew: made!.isNew, counts };
}

/** Locks the run until the end of the transaction, so that concurrent pieces are merged one after the other. */
async function lockRun(tx: Queryable, id: number, piece: string): Promise<MergedRun> {
  const [run] = await tx<MergedRun[]>`
    select runs.id, runs.attempt, runs.counts, runs.samples, encode(runs.content, 'hex') as content, axes.name as axis,
      runs.changelist, packages.name as package, environments.keys::text as environment, runs.expired_at is not null as "isExpired"
    from runs join axes on axes.id = runs.axis_id join environments on environments.id = runs.environment_id
      left join packages on packages.id = runs.package_id
    where runs.id = ${id} for update of runs`;
  // A separate statement sees what was merged while the lock was awaited.
  const known = await tx`
    select 1 from runs
      join runs as attempts on attempts.test_id = runs.test_id and attempts.source = runs.source
        and attempts.external_id = runs.external_id
      join run_pieces on run_pieces.run_id = attempts.id
    where runs.id = ${id} and run_pieces.content = decode(${piece}, 'hex') limit 1`;
  return { ...run!, isKnownPiece: known.length > 0 };
}

function refuseOther(run: MergedRun, piece: SpooledRun): void {
  const { machine, ...others } = JSON.parse(run.environment) as Record<string, string>;
  // Pieces without a machine may come from several machines.
  const isOfMachine = piece.environment.machine !== undefined && machine !== undefined;
  const environment = sorted(isOfMachine ? { ...others, machine } : others);
  const { machine: named, ...own } = piece.environment;
  const differing = [
    ["axis", run.axis, piece.axis],
    ["changelist", run.changelist, piece.changelist],
    ["package", run.package, piece.package ?? null],
    ["environment", environment, sorted(isOfMachine ? { ...own, machine: named! } : own)],
  ].find(([, is, said]) => is !== said);
  if (differing === undefined) return;
  const [what, is, said] = differing;
  throw new HubError(
    "CONFLICT",
    `The piece does not belong to run ${
      JSON.stringify(piece.externalId)
    }: its ${what} is ${said}, but the run's is ${is}. Push it under another externalId.`,
  );
}

function sorted(keys: Record<string, string>): string {
  return JSON.stringify(Object.fromEntries(Object.entries(keys).sort(([a], [b]) => a < b ? -1 : 1)));
}

async function deleteCases(
  tx: Queryable,
  runId: number,
  { caseIds }: ResultSpool,
): Promise<{ counts: Counts; samples: number }> {
  const counts: Counts = {};
  let samples = 0;
  for (let from = 0; from < caseIds.length; from += CASES_AT_ONCE) {
    const length = Math.min(CASES_AT_ONCE, caseIds.length - from);
    const ids = [...new Set(Array.from({ length }, (_none, at) => caseIds.get(from + at)))].join(",");
    const rows = await tx<{ outcome: keyof Counts; results: number; samples: number }[]>`
      with asked as (
        select distinct id::int as id from unnest(string_to_array(${ids}, ',')) as id
      ), gone as (
        delete from results using asked where run_id = ${runId} and case_id = asked.id returning outcome
      ), gone_samples as (
        delete from samples using asked where run_id = ${runId} and case_id = asked.id returning 1
      )
      select outcomes.name as outcome, count(*)::int as results, (select count(*)::int from gone_samples) as samples
      from gone join outcomes on outcomes.id = gone.outcome group by outcomes.name`;
    for (const row of rows) counts[row.outcome] = (counts[row.outcome] ?? 0) + row.results;
    samples += rows[0]?.samples ?? 0;
  }
  return { counts, samples };
}

function withDelta(counts: Counts, gone: Counts, added: Counts): Counts {
  const names = [...new Set([...Object.keys(counts), ...Object.keys(added)])] as (keyof Counts)[];
  return Object.fromEntries(
    names.map((name) => [name, (counts[name] ?? 0) - (gone[name] ?? 0) + (added[name] ?? 0)] as const)
      .filter(([, count]) => count > 0),
  );
}
