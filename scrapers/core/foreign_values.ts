import { MAX_CASE, MAX_EXCERPT } from "../../schemas/record.ts";

/*
 * Values from a source, with their faults: `fitRuns` repairs or omits them and reports it. A text is cut to one character more
 * than the limit, which saves memory and still shows that it was too long.
 */

export function foreignText(text: string, most = MAX_EXCERPT): string {
  return text.trim().slice(0, most + 1);
}

export function foreignName(name: string): string {
  return foreignText(name, MAX_CASE);
}

/** Converts a value to a number times `times`, rounded to 3 decimals; undefined for none, NaN for an invalid number. */
export function foreignNumber(value: unknown, times = 1): number | undefined {
  if (value === undefined || value === null || value === "") return undefined;
  const number = typeof value === "number" || typeof value === "string" ? Number(value) * times : NaN;
  return Math.round(number * 1000) / 1000;
}
