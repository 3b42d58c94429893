import { MAX_SAMPLE_TEXT, MAX_SAMPLES, metricName, type Sample } from "../schemas/record.ts";
import { cleanText } from "./text.ts";

const MAX_UNIT = 32;

/** Makes a sample of a measured value; none for an unusable metric name, or a value that is neither a finite number nor text. */
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

/** Makes samples of an object, metric -> value or values; at most `MAX_SAMPLES`. */
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

/** Makes a sample of a property that a test recorded; none unless it is a number: other properties are not measurements. */
export function numberSample(name: string, text: unknown): Sample[] {
  const isNumber = typeof text === "string" &&
    /^[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[-+]?\d+)?$/i.test(text.trim());
  return isNumber ? sampleOf(name, Number(text)) : [];
}
