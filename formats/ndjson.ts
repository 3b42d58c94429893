import { type FormatItem, type ResultFormat } from "./format.ts";
import { asObject } from "./json.ts";
import { headText, readLines } from "./lines.ts";
import { fitRecord } from "./record.ts";

/** Longest record in characters: one of 1000 samples with long names, fully escaped, has 4 million. */
const MAX_RECORD = 1 << 22;

/**
 * Result records of the wire format, one JSON object per line: `{case, outcome, word?, durationMs?, message?, samples?}`, as
 * `GET /api/runs/{id}/results?format=ndjson` writes them. Other keys are ignored; null means absent.
 */
export const ndjson: ResultFormat = {
  name: "ndjson",
  summary: "NDJSON of result records",
  recognises(fileName, head) {
    const first = headText(head).trimStart().split("\n", 1)[0]!;
    return /^\{.*"case"\s*:/.test(first) ||
      /\.(?:ndjson|jsonl)$/i.test(fileName) && headText(head).split(/[\r\n]/).some(mayBeRecord);
  },
  async *parse(input) {
    for await (const lines of readLines(input, MAX_RECORD)) {
      yield lines.flatMap(({ text, number }) => text.trim() === "" ? [] : [toItem(text, number)]);
    }
  },
};

function mayBeRecord(line: string): boolean {
  return line === "" || line.startsWith("{") || /^\s*\{.*"case"\s*:/.test(line);
}

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

/** Makes a checked result record of an object that may have other keys; `line`: its line in the file. */
export function recordItem(fields: Record<string, unknown> | undefined, line: number): FormatItem {
  const fit = fitRecord(fields);
  return "record" in fit
    ? { kind: "result", record: fit.record }
    : { kind: "rejected", place: `line ${line}`, reason: fit.fault };
}
