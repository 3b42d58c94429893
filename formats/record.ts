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

/** A record that can be stored, and what was changed for that; or why there is none. */
export type FitRecord = { record: ResultRecord; repairs: string[] } | { fault: string };

export interface FitOptions {
  /** Whether durations and samples that cannot be stored are left out, where they are a fault of the record else. */
  leavesOut?: boolean;
}

/**
 * A result record out of an object of foreign keys, by the rules of `POST /api/results`: texts are cut to what is kept, and
 * what Postgres cannot hold is replaced; null is as good as absent.
 */
export function fitRecord(value: unknown, { leavesOut = false }: FitOptions = {}): FitRecord {
  const fields = asObject(value);
  if (fields === undefined) return { fault: "is not an object" };
  const told = withoutNulls(fields);
  const first = resultRecord.safeParse(told);
  if (first.success) return { record: first.data, repairs: [] };
  const repaired: Record<string, unknown> = { ...told };
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
  /** Undefined: the field is left out. */
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
      ? { value: undefined, reason: "is no text, and was left out" }
      : undefined,
  message: (value, leavesOut) =>
    typeof value === "string"
      ? repairText(value, MAX_EXCERPT, (text) => excerpt(text) ?? "")
      : leavesOut
      ? { value: undefined, reason: "is no text, and was left out" }
      : undefined,
  durationMs: (_value, leavesOut) =>
    leavesOut ? { value: undefined, reason: "is no time from 0 to 1e12 ms, and was left out" } : undefined,
  samples: repairSamples,
};

function repairText(value: string, max: number, fit: (text: string) => string): Repair {
  return {
    value: fit(value),
    reason: value.length > max
      ? `has more than ${max} characters, and was cut`
      : "holds a NUL or a lone surrogate, which was replaced",
  };
}

function repairSamples(value: unknown, leavesOut: boolean): Repair | undefined {
  if (!Array.isArray(value)) {
    return leavesOut ? { value: undefined, reason: "is no list, and was left out" } : undefined;
  }
  const samples = value.map(fittedSample);
  if (!leavesOut) return { value: samples, reason: "has texts that were cut or replaced" };
  const kept = samples.filter((one) => sample.safeParse(one).success).slice(0, MAX_SAMPLES);
  const reason = kept.length < samples.length
    ? "has values that cannot be stored, which were left out"
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
