import { MAX_SAMPLE_TEXT, resultRecord } from "../schemas/record.ts";
import { type FormatItem, type ResultFormat } from "./format.ts";
import { asObject } from "./json.ts";
import { headText, readLines } from "./lines.ts";
import { caseName, cleanText, excerpt, wordOf } from "./text.ts";

/** A record of 1000 samples with long names, all of it escaped, has 4 million characters. */
const MAX_RECORD = 1 << 22;

/**
 * The wire format's result records, a JSON object a line: `{case, outcome, word?, durationMs?, message?, samples?}`, as
 * `GET /api/runs/{id}/results?format=ndjson` writes them. Other keys are passed over, null is as good as absent.
 */
export const ndjson: ResultFormat = {
  name: "ndjson",
  summary: "NDJSON of result records",
  recognises(fileName, head) {
    const first = headText(head).trimStart().split("\n", 1)[0]!;
    return /^\{.*"case"\s*:/.test(first) ||
      /\.(?:ndjson|jsonl)$/i.test(fileName) && /^(?:\{|$)|^\s*\{.*"case"\s*:/m.test(headText(head));
  },
  async *parse(input) {
    for await (const lines of readLines(input, MAX_RECORD)) {
      yield lines.flatMap(({ text, number }) => text.trim() === "" ? [] : [toItem(text, number)]);
    }
  },
};

function toItem(line: string, number: number): FormatItem {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (error) {
    return {
      kind: "rejected",
      place: `line ${number}`,
      reason: `is not JSON: ${(error as Error).message.slice(0, 200)}`,
    };
  }
  return recordItem(asObject(value), number);
}

/** A result record out of an object of foreign keys, checked; `line` says where it is. */
export function recordItem(fields: Record<string, unknown> | undefined, line: number): FormatItem {
  if (fields === undefined) return { kind: "rejected", place: `line ${line}`, reason: "is not an object" };
  const told = withoutNulls(fields);
  let parsed = resultRecord.safeParse(told);
  if (!parsed.success) parsed = resultRecord.safeParse(fitted(told));
  if (parsed.success) return { kind: "result", record: parsed.data };
  const [issue] = parsed.error.issues;
  const reason = `${issue!.path.join(".") || "record"}: ${issue!.message}`;
  return { kind: "rejected", place: `line ${line}`, reason };
}

/** Texts cut to what is kept, and without what Postgres cannot hold, as other formats' are. */
function fitted(fields: Record<string, unknown>): Record<string, unknown> {
  const { case: name, word, message, samples } = fields;
  return {
    ...fields,
    ...(typeof name === "string" && name.trim() !== "" ? { case: caseName(name) } : {}),
    ...(typeof word === "string" ? { word: wordOf(word) } : {}),
    ...(typeof message === "string" ? { message: excerpt(message) ?? "" } : {}),
    ...(Array.isArray(samples) ? { samples: samples.map(fittedSample) } : {}),
  };
}

function fittedSample(sample: unknown): unknown {
  const { value } = asObject(sample) ?? {};
  if (typeof value !== "string") return sample;
  return { ...asObject(sample), value: cleanText(value.slice(0, MAX_SAMPLE_TEXT)) };
}

function withoutNulls(fields: Record<string, unknown>): Record<string, unknown> {
  for (const key in fields) {
    if (fields[key] === null) {
      return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== null));
    }
  }
  return fields;
}
