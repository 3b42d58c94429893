import { z } from "zod";

/** Outcomes in the order of their numbers in the database (migration 0001): never reorder. */
export const OUTCOMES = [
  "passed",
  "xfailed",
  "failed",
  "error",
  "timeout",
  "xpassed",
  "unresolved",
  "skipped",
  "unsupported",
  "untested",
  "blocked",
  "not_run",
  "lab_error",
] as const;

export const outcome = z.enum(OUTCOMES);
export type Outcome = z.infer<typeof outcome>;

export type OutcomeGroup = "good" | "bad" | "silent" | "lab_error";

const GROUPS: Record<Outcome, OutcomeGroup> = {
  passed: "good",
  xfailed: "good",
  failed: "bad",
  error: "bad",
  timeout: "bad",
  xpassed: "bad",
  unresolved: "bad",
  skipped: "silent",
  unsupported: "silent",
  untested: "silent",
  blocked: "silent",
  not_run: "silent",
  lab_error: "lab_error",
};

export function groupOf(value: Outcome): OutcomeGroup {
  return GROUPS[value];
}

/** The number of an outcome in the database. */
export function outcomeId(value: Outcome): number {
  return OUTCOMES.indexOf(value) + 1;
}

/** The numbers of the bad outcomes. */
export const BAD_OUTCOME_IDS = OUTCOMES.filter((name) => groupOf(name) === "bad").map(outcomeId);

/** Counts by outcome; an outcome that did not occur is absent. */
export const counts = z.partialRecord(outcome, z.number().int());
export type Counts = z.infer<typeof counts>;
