import { runHead, type RunRecord } from "../schemas/record.ts";

/** Results of one case in one run; their number is a Postgres `smallint`. */
const MAX_ORDINAL = 32_767;

/** Why a run cannot be stored, or undefined. What a source says of a run is foreign: one bad run must not stop its batch. */
export function runFault(run: RunRecord): string | undefined {
  const [issue] = runHead.safeParse(run).error?.issues ?? [];
  if (issue !== undefined) {
    return `has a ${issue.path.join(".") || "head"} that cannot be kept: ${issue.message}`;
  }
  for (const text of [run.externalId, run.axis, run.package, run.reason, run.url]) {
    if (text?.includes("\0")) return "holds a NUL character";
  }
  if (run.results.length > MAX_ORDINAL) {
    const times = new Map<string, number>();
    for (const { case: name } of run.results) {
      const count = (times.get(name) ?? 0) + 1;
      if (count > MAX_ORDINAL) return `names one case more than ${MAX_ORDINAL} times`;
      times.set(name, count);
    }
  }
  return undefined;
}

/** A time in UTC ISO 8601, or undefined where it is none between the years 1970 and 9999. */
export function isoTime(time: string | null | undefined): string | undefined {
  const ms = time ? Date.parse(time) : NaN;
  return ms >= 0 && ms < 253_402_300_800_000 ? new Date(ms).toISOString() : undefined;
}
