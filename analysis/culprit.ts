import type { Outcome } from "../schemas/outcome.ts";
import { verdictOf } from "./verdict.ts";

export interface HistoryPoint {
  changelist: number;
  outcomes: readonly Outcome[];
}

export interface Culprit {
  lastGood: number | null;
  firstBad: number;
  fixedAt: number | null;
  /** Changelists strictly between the bounds that ran without a verdict; null without a lower bound. */
  undecided: number[] | null;
}

/**
 * Finds where a case last went from good to bad, in its history in one environment and package. Only good and bad verdicts set
 * a bound; flaky, silent and lab_error do not. Undefined if the case was never bad.
 */
export function findCulprit(history: readonly HistoryPoint[]): Culprit | undefined {
  const points = [...history].sort((a, b) => a.changelist - b.changelist).map(({ changelist, outcomes }) => ({
    changelist,
    verdict: verdictOf(outcomes),
  }));
  const bounds = points.filter(({ verdict }) => verdict === "good" || verdict === "bad");
  const lastBad = bounds.findLastIndex(({ verdict }) => verdict === "bad");
  if (lastBad < 0) return undefined;
  const lastGood = bounds.slice(0, lastBad).findLastIndex(({ verdict }) => verdict === "good");
  const firstBad = bounds[lastGood + 1]!.changelist;
  const good = lastGood < 0 ? null : bounds[lastGood]!.changelist;
  return {
    lastGood: good,
    firstBad,
    fixedAt: bounds[lastBad + 1]?.changelist ?? null,
    undecided: good === null
      ? null
      : points.flatMap(({ changelist }) => changelist > good && changelist < firstBad ? [changelist] : []),
  };
}
