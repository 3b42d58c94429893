import type { Placed, RunHead } from "../schemas/record.ts";
import { labelKey, placeLabels } from "./changelists.ts";
import type { Db } from "./client.ts";

const LABEL = "label:";

/**
 * Runs whose changelists are numbers: labels are replaced by theirs, new ones are numbered where the axis says how. A run
 * whose label has no number is left out, and told to `refuse` with the reason.
 */
export async function placeRuns<R extends RunHead>(
  sql: Db,
  runs: R[],
  refuse: (run: R, reason: string) => void,
): Promise<Placed<R>[]> {
  const labelled = runs.filter((run) => typeof run.changelist === "string");
  const numbers = labelled.length === 0 ? new Map<string, number | string>() : await placeLabels(
    sql,
    labelled.map((run) => ({ axis: run.axis, label: labelOf(run), committedAt: run.committedAt })),
  );
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

function labelOf({ changelist }: RunHead): string {
  return String(changelist).slice(LABEL.length);
}
