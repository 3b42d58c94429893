import {
  MAX_CASE,
  MAX_EXCERPT,
  MAX_SAMPLE_TEXT,
  MAX_SAMPLES,
  type ResultRecord,
  resultRecord,
  sample,
} from "../schemas/record.ts";
import { asObject } from "./json.ts";
import { caseName, cleanText, excerpt, wordOf } from "./text.ts";

/** A record that can be stored and the repairs it needed, or the reason why it is invalid. */
export type FitRecord = { record: ResultRecord; repairs: string[] } | { fault: string };

export interface FitOptions {
  /** Whether invalid optional fields are omitted; otherwise they make the record invalid. */
  leavesOut?: boolean;
}

/**
 * Makes a result record of an object that may have other keys, by the rules of `POST /api/results`: long texts are cut,
 * characters that Postgres cannot store are replaced, and null means absent.
 */
export function fitRecord(value: unknown, { leavesOut = false }: FitOptions = {}): FitRecord {
  const fields = asObject(value);
  if (fields === undefined) return { fault: "is not an object" };
  const present = withoutNulls(fields);
  const first = resultRecord.safeParse(present);
  if (first.success) return { record: first.data, repairs: [] };
  const repaired: Record<string, unknown> = { ...present };
  const repairs: string[] = [];
  const faulty = new Set(first.error.issues.map((issue) => String(issue.path[0] ?? "")));
  for (const field of faulty) {
    const repair = REPAIRS[field]?.(repaired[field], leavesOut);
    if (repair === undefined) continue;
    repairs.push(`${field} ${repair.reason}`);
    if (repair.value === undefined) delete repaired[field];
    else repaired[field] = repair.value;
  }
  const second = repairs.length === 0 ? first : resultRecord.safeParse(repaired);
  if (second.success) return { record: second.data, repairs };
  const [issue] = second.error.issues;
  return { fault: `${issue!.path.join(".") || "record"}: ${issue!.message}` };
}

interface Repair {
  /** Undefined: the field is omitted. */
  value: unknown;
  reason: string;
}

const REPAIRS: Record<string, (value: unknown, leavesOut: boolean) => Repair | undefined> = {
  case: (value) =>
    typeof value === "string" && value.trim() !== "" ? repairText(value, MAX_CASE, caseName) : undefined,
  word: (value, leavesOut) =>
    typeof value === "string" && value !== ""
      ? repairText(value, 64, wordOf)
      : leavesOut
      ? { value: undefined, reason: "is not a string, and was omitted" }
      : undefined,
  message: (value, leavesOut) =>
    typeof value === "string"
      ? repairText(value, MAX_EXCERPT, (text) => excerpt(text) ?? "")
      : leavesOut
      ? { value: undefined, reason: "is not a string, and was omitted" }
      : undefined,
  durationMs: (_value, leavesOut) =>
    leavesOut ? { value: undefined, reason: "is not a time from 0 to 1e12 ms, and was omitted" } : undefined,
  samples: repairSamples,
};

function repairText(value: string, max: number, fit: (text: string) => string): Repair {
  return {
    value: fit(value),
    reason: value.length > max
      ? `has more than ${max} characters, and was cut`
      : "contains a NUL or a lone surrogate, which was replaced",
  };
}

function repairSamples(value: unknown, leavesOut: boolean): Repair | undefined {
  if (!Array.isArray(value)) {
    return leavesOut ? { value: undefined, reason: "is not a list, and was omitted" } : undefined;
  }
  const samples = value.map(fittedSample);
  if (!leavesOut) return { value: samples, reason: "has texts that were cut or replaced" };
  const kept = samples.filter((one) => sample.safeParse(one).success).slice(0, MAX_SAMPLES);
  const reason = kept.length < samples.length
    ? "has values that cannot be stored, which were omitted"
    : "has texts that were cut or replaced";
  return { value: kept.length === 0 ? undefined : kept, reason };
}

function fittedSample(one: unknown): unknown {
  const { value } = asObject(one) ?? {};
  if (typeof value !== "string") return one;
  return { ...asObject(one), value: cleanText(value.slice(0, MAX_SAMPLE_TEXT)) };
}

function withoutNulls(fields: Record<string, unknown>): Record<string, unknown> {
  for (const key in fields) {
    if (fields[key] === null) {
      return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== null));
    }
  }
  return fields;
}
