import { MAX_CASE, MAX_EXCERPT } from "../../schemas/record.ts";

/*
 * What a source says of a result, with its faults: `fitRuns` repairs them, or leaves them out, and names them. Texts keep one
 * character too many, so that they are known to be too long and take no memory.
 */

export function foreignText(text: string, most = MAX_EXCERPT): string {
  return text.trim().slice(0, most + 1);
}

export function foreignName(name: string): string {
  return foreignText(name, MAX_CASE);
}

/** As a number of another unit; undefined where there is none, NaN where it is no number. */
export function foreignNumber(value: unknown, times = 1): number | undefined {
  if (value === undefined || value === null || value === "") return undefined;
  const number = typeof value === "number" || typeof value === "string" ? Number(value) * times : NaN;
  return Math.round(number * 1000) / 1000;
}
