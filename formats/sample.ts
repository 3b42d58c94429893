import { MAX_SAMPLE_TEXT, MAX_SAMPLES, metricName, type Sample } from "../schemas/record.ts";
import { cleanText } from "./text.ts";

const MAX_UNIT = 32;

/** A measured value as it is kept; nothing where the metric has no usable name, or the value is no number and no text. */
export function sampleOf(metric: string, value: unknown, unit?: string): Sample[] {
  const name = cleanText(metric).replace(/\p{Cc}/gu, " ").trim();
  if (!metricName.safeParse(name).success) return [];
  const kept = typeof value === "number"
    ? Number.isFinite(value) ? value : undefined
    : typeof value === "string" && value !== ""
    ? cleanText(value).slice(0, MAX_SAMPLE_TEXT)
    : undefined;
  if (kept === undefined) return [];
  const known = cleanText(unit ?? "").replace(/\p{Cc}/gu, " ").trim().slice(0, MAX_UNIT).trim();
  return [known === "" ? { metric: name, value: kept } : { metric: name, value: kept, unit: known }];
}

/** Samples of a plain object: metric -> value, or values. No more than are kept. */
export function samplesOf(
  values: Record<string, unknown>,
  isMetric: (key: string) => boolean = () => true,
): Sample[] {
  const samples: Sample[] = [];
  for (const [metric, value] of Object.entries(values)) {
    if (!isMetric(metric)) continue;
    for (const one of Array.isArray(value) ? value : [value]) {
      samples.push(...sampleOf(metric, one));
      if (samples.length >= MAX_SAMPLES) return samples;
    }
  }
  return samples;
}

/** A property that a test recorded, where it is a number; texts of properties are no values that were measured. */
export function numberSample(name: string, text: unknown): Sample[] {
  const isNumber = typeof text === "string" &&
    /^[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[-+]?\d+)?$/i.test(text.trim());
  return isNumber ? sampleOf(name, Number(text)) : [];
}
