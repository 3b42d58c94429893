import { OUTCOMES } from "../../schemas/outcome.ts";
import type { ResultRecord } from "../../schemas/record.ts";
import { copyValue } from "../core/copy.ts";

const OUTCOME_ID = new Map(OUTCOMES.map((name, at) => [name, at + 1]));

/** The columns of a line of `copy` into results: run, case and ordinal by their numbers, then what `resultRest` has. */
export const RESULT_COLUMNS = "run_id, changelist, case_id, ordinal, outcome, duration_ms, word, message";
/** As `RESULT_COLUMNS`, into samples. */
export const SAMPLE_COLUMNS = "run_id, changelist, case_id, metric_id, ordinal, value, word";

/** What a line holds of a result behind its case and ordinal. */
export function resultRest({ outcome, durationMs, word, message }: ResultRecord): string {
  // A `real` holds none that is smaller, and refuses it.
  const duration = durationMs === undefined ? "\\N" : Math.fround(durationMs) === 0 ? 0 : durationMs;
  return `${OUTCOME_ID.get(outcome)}\t${duration}\t${word === undefined ? "\\N" : copyValue(word)}\t${
    message === undefined ? "\\N" : copyValue(message)
  }`;
}

/** What a line holds of a sample behind its case, metric and ordinal. */
export function sampleRest(value: number | string): string {
  return typeof value === "number" ? `${value}\t\\N` : `\\N\t${copyValue(value)}`;
}
