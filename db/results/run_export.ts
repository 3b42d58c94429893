import { HubError } from "../../errors.ts";
import type { ResultRecord, Sample } from "../../schemas/record.ts";
import type { Outcome } from "../../schemas/outcome.ts";
import type { Queryable } from "../core/queryable.ts";

interface ExportRow {
  version: number | null;
  caseId: number;
  ordinal: number;
  case: string;
  outcome: Outcome;
  word: string | null;
  durationMs: number | null;
  message: string | null;
  samples: { metric: string; unit: string; value: number | null; word: string | null }[] | null;
}

/** Number of results read at once. */
const PAGE = 1000;

/**
 * Yields all results of a run as the records they were stored from, one page at a time. A case's samples are in its first
 * record.
 * @throws HubError CONFLICT if the run changes meanwhile
 */
export async function* exportRun(sql: Queryable, runId: number): AsyncGenerator<ResultRecord[]> {
  let after = { caseId: 0, ordinal: 0 };
  let version: number | null | undefined;
  while (true) {
    const rows = await sql<ExportRow[]>`
      select (select runs.version from runs where runs.id = ${runId}) as version, results.case_id as "caseId", results.ordinal, cases.name as case, outcomes.name as outcome, results.word,
        results.duration_ms as "durationMs", results.message, measured.samples
      from results
        join cases on cases.id = results.case_id
        join outcomes on outcomes.id = results.outcome
        left join lateral (
          select json_agg(
            json_build_object('metric', metrics.name, 'unit', metrics.unit, 'value', samples.value, 'word', samples.word)
            order by samples.metric_id, samples.ordinal
          ) as samples
          from samples join metrics on metrics.id = samples.metric_id
          where samples.run_id = results.run_id and samples.case_id = results.case_id
        ) as measured on results.ordinal = 1
      where results.run_id = ${runId} and (results.case_id, results.ordinal) > (${after.caseId}, ${after.ordinal})
      order by results.case_id, results.ordinal
      limit ${PAGE}`;
    const now = rows[0]?.version ?? (version === undefined ? undefined : await versionOf(sql, runId));
    version ??= now;
    if (now !== version) {
      throw new HubError("CONFLICT", `The run ${runId} changed while it was being read. Request it again.`);
    }
    if (rows.length > 0) yield rows.map(toRecord);
    if (rows.length < PAGE) return;
    after = rows.at(-1)!;
  }
}

async function versionOf(sql: Queryable, runId: number): Promise<number | null> {
  const [row] = await sql<{ version: number }[]>`select version from runs where id = ${runId}`;
  return row?.version ?? null;
}

function toRecord({ case: name, outcome, word, durationMs, message, samples }: ExportRow): ResultRecord {
  const record: ResultRecord = { case: name, outcome };
  if (word !== null) record.word = word;
  if (durationMs !== null) record.durationMs = durationMs;
  if (message !== null) record.message = message;
  if (samples !== null) {
    record.samples = samples.map(({ metric, unit, value, word }): Sample => ({
      metric,
      value: (value ?? word)!,
      ...(unit === "" ? {} : { unit }),
    }));
  }
  return record;
}
