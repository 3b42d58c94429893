import { HubError } from "../../errors.ts";
import { MAX_ORDINAL } from "../../schemas/record.ts";
import { Ordinals } from "./case_ids.ts";
import type { Queryable } from "../core/queryable.ts";
import { copyInto, uncopied } from "../core/copy.ts";
import { RESULT_COLUMNS, SAMPLE_COLUMNS } from "./copy_format.ts";
import type { ResultSpool } from "./spool.ts";

/** A run whose results are to be written, with all case ids resolved. */
export interface RunRows {
  id: number;
  changelist: number;
  results: ResultSpool;
}

/** Writes the results and samples of new runs. @throws HubError BAD_REQUEST if a run names a case too often */
export async function writeRows(tx: Queryable, runs: RunRows[]): Promise<void> {
  await copyInto(tx, tx.unsafe(`copy results (${RESULT_COLUMNS}) from stdin`), resultLines(runs));
  const sampled = runs.filter((run) => run.results.samples > 0);
  if (sampled.length === 0) return;
  const metricIds = await internMetrics(tx, [
    ...new Set(sampled.flatMap((run) => [...run.results.metrics.keys()])),
  ]);
  const copy = tx.unsafe(`copy samples (${SAMPLE_COLUMNS}) from stdin`);
  await copyInto(tx, copy, sampleLines(sampled, metricIds));
}

function* resultLines(runs: RunRows[]): Generator<string> {
  for (const { id, changelist, results } of runs) {
    const { caseIds } = results;
    const { least } = caseIds;
    const ordinals = new Ordinals(caseIds.most - least);
    let place = 0;
    for (const lines of results.rests()) {
      let text = "";
      for (const line of lines) {
        const caseId = caseIds.get(place++);
        const ordinal = checked(ordinals.next(caseId - least));
        text += `${id}\t${changelist}\t${caseId}\t${ordinal}\t${line}\n`;
      }
      yield text;
    }
  }
}

function* sampleLines(runs: RunRows[], metricIds: Map<string, number>): Generator<string> {
  for (const { id, changelist, results } of runs) {
    const ids = [...results.metrics.keys()].map((key) => metricIds.get(key)!);
    const times = new Map<number, number>();
    for (const lines of results.sampled()) {
      let text = "";
      for (const line of lines) {
        const [place, at, ...value] = line.split("\t");
        const caseId = results.caseIds.get(Number(place));
        const key = caseId * ids.length + Number(at);
        const ordinal = checked((times.get(key) ?? 0) + 1);
        times.set(key, ordinal);
        text += `${id}\t${changelist}\t${caseId}\t${ids[Number(at)]}\t${ordinal}\t${value.join("\t")}\n`;
      }
      yield text;
    }
  }
}

function checked(ordinal: number): number {
  if (ordinal <= MAX_ORDINAL) return ordinal;
  throw new HubError(
    "BAD_REQUEST",
    `A case, or a metric of a case, occurs more than ${MAX_ORDINAL} times in one run. Give its occurrences different names.`,
  );
}

/** Returns metric ids by `<name>\t<unit>`, escaped for `copy`; creates new metrics. */
async function internMetrics(tx: Queryable, keys: string[]): Promise<Map<string, number>> {
  const pairs = keys.map((key) => key.split("\t").map(uncopied));
  const names = pairs.map(([name]) => name!);
  const units = pairs.map(([, unit]) => unit!);
  const find = () =>
    tx<{ id: number | null }[]>`
      select metrics.id
      from unnest(${names}::text[], ${units}::text[]) with ordinality as asked (name, unit, place)
        left join metrics on metrics.name = asked.name and metrics.unit = asked.unit
      order by asked.place`;
  let rows = await find();
  if (rows.some((row) => row.id === null)) {
    await tx`
      insert into metrics (name, unit)
      select name, unit from unnest(${names}::text[], ${units}::text[]) as asked (name, unit)
      order by name, unit
      on conflict (name, unit) do nothing`;
    rows = await find();
  }
  return new Map(keys.map((key, at) => [key, rows[at]!.id!]));
}
