import { groupOf, type Outcome } from "../schemas/outcome.ts";

/** What all the results of a case at one changelist say together. */
export type Verdict = "good" | "bad" | "flaky" | "silent" | "lab_error" | "missing";

/** Good and bad together are flaky; a lab error says nothing, unless it is all there is. */
export function verdictOf(outcomes: Iterable<Outcome>): Verdict {
  const groups = new Set<string>();
  for (const outcome of outcomes) groups.add(groupOf(outcome));
  if (groups.has("good") && groups.has("bad")) return "flaky";
  for (const group of ["bad", "good", "silent", "lab_error"] as const) if (groups.has(group)) return group;
  return "missing";
}
