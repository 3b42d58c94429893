import type { CompareKind } from "../schemas/answer.ts";
import type { Outcome } from "../schemas/outcome.ts";
import { type Verdict, verdictOf } from "./verdict.ts";

export interface ComparedCase {
  kind: CompareKind | undefined;
  base: Verdict;
  head: Verdict;
}

/** Compares a case at `head` with `base`; the kind is undefined if there is nothing to report. */
export function compareCase(base: readonly Outcome[], head: readonly Outcome[]): ComparedCase {
  const before = verdictOf(base);
  const after = verdictOf(head);
  return { kind: kindOf(before, after), base: before, head: after };
}

function kindOf(base: Verdict, head: Verdict): CompareKind | undefined {
  if (head === "flaky" || base === "flaky") return "flaky";
  if (head === "lab_error") return "labErrors";
  if (head === "missing") return base === "missing" ? undefined : "missing";
  if (base === "missing") return "new";
  if (head === "bad") return base === "bad" ? "stillFailing" : "newlyFailing";
  if (head === "good" && base === "bad") return "fixed";
  return undefined;
}
