import type { Placed, RunHead } from "../../schemas/record.ts";
import { labelKey, placeLabels } from "../axes/changelists.ts";
import type { Db } from "../core/queryable.ts";

const LABEL = "label:";

/** Returns the runs that `resolveRuns` would refuse, with the reasons. Stores nothing. */
export async function findUnresolved<R extends RunHead>(sql: Db, runs: R[]): Promise<Map<R, string>> {
  const numbers = await numbersOf(sql, runs, { isDry: true });
  return new Map(runs.flatMap((run) => {
    const number = typeof run.changelist === "number" ? 0 : numbers.get(labelKey(run.axis, labelOf(run)))!;
    return typeof number === "string" ? [[run, number] as const] : [];
  }));
}

/**
 * Replaces labels by changelist numbers, and numbers new labels if the axis allows it. A run whose label has no number is
 * left out and passed to `refuse` with the reason.
 */
export async function resolveRuns<R extends RunHead>(
  sql: Db,
  runs: R[],
  refuse: (run: R, reason: string) => void,
): Promise<Placed<R>[]> {
  const numbers = await numbersOf(sql, runs);
  return runs.flatMap((run): Placed<R>[] => {
    const { committedAt: _at, changelist, ...rest } = run;
    const number = typeof changelist === "number"
      ? changelist
      : numbers.get(labelKey(run.axis, labelOf(run)))!;
    if (typeof number === "number") return [{ ...rest, changelist: number } as unknown as Placed<R>];
    refuse(run, number);
    return [];
  });
}

async function numbersOf(
  sql: Db,
  runs: RunHead[],
  options: { isDry?: boolean } = {},
): Promise<Map<string, number | string>> {
  const labelled = runs.filter((run) => typeof run.changelist === "string");
  if (labelled.length === 0) return new Map();
  const asked = labelled.map((run) => ({
    axis: run.axis,
    label: labelOf(run),
    committedAt: run.committedAt,
  }));
  return await placeLabels(sql, asked, options);
}

function labelOf({ changelist }: RunHead): string {
  return String(changelist).slice(LABEL.length);
}
