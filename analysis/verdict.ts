import { groupOf, type Outcome } from "../schemas/outcome.ts";

/** The combined state of all results of a case at one changelist. */
export type Verdict = "good" | "bad" | "flaky" | "silent" | "lab_error" | "missing";

/** Combines outcomes: good and bad together are flaky; a lab error counts only if there is nothing else. */
export function verdictOf(outcomes: Iterable<Outcome>): Verdict {
  const groups = new Set<string>();
  for (const outcome of outcomes) groups.add(groupOf(outcome));
  if (groups.has("good") && groups.has("bad")) return "flaky";
  for (const group of ["bad", "good", "silent", "lab_error"] as const) if (groups.has(group)) return group;
  return "missing";
}
