import { OUTCOMES } from "../../schemas/outcome.ts";
import type { ResultRecord } from "../../schemas/record.ts";
import { copyValue } from "../core/copy.ts";

const OUTCOME_ID = new Map(OUTCOMES.map((name, at) => [name, at + 1]));

/** Columns of a `copy` line for results: run, changelist, case and ordinal, then the columns of `resultRest`. */
export const RESULT_COLUMNS = "run_id, changelist, case_id, ordinal, outcome, duration_ms, word, message";
/** Columns of a `copy` line for samples. */
export const SAMPLE_COLUMNS = "run_id, changelist, case_id, metric_id, ordinal, value, word";

/** Formats the columns of a result after its ordinal. */
export function resultRest({ outcome, durationMs, word, message }: ResultRecord): string {
  // Postgres rejects a value below the range of `real`.
  const duration = durationMs === undefined ? "\\N" : Math.fround(durationMs) === 0 ? 0 : durationMs;
  return `${OUTCOME_ID.get(outcome)}\t${duration}\t${word === undefined ? "\\N" : copyValue(word)}\t${
    message === undefined ? "\\N" : copyValue(message)
  }`;
}

/** Formats the columns of a sample after its ordinal. */
export function sampleRest(value: number | string): string {
  return typeof value === "number" ? `${value}\t\\N` : `\\N\t${copyValue(value)}`;
}
