import type { ResultRecord, Sample } from "../schemas/record.ts";
import { FormatError, type FormatItem, machineOf, type ResultFormat, timeOf } from "./format.ts";
import { asObject, asText, type JsonRoot, readJsonParts } from "./json.ts";
import { headText } from "./lines.ts";
import { sampleOf } from "./sample.ts";
import { caseName, excerpt } from "./text.ts";

const NAME = "Google Benchmark JSON";
const NANOSECONDS: Record<string, number> = { ns: 1, us: 1e3, ms: 1e6, s: 1e9 };
/** Numeric keys that identify an entry and are not measurements. */
const IDS = /^(?:family_index|per_family_instance_index|repetitions|repetition_index|threads|iterations)$/;

/**
 * The output of `--benchmark_format=json` (Google Benchmark's user guide, "Output formats"): each entry of `benchmarks` is a case,
 * and repetitions are further results of that case. Its times, in nanoseconds, and its counters are samples. An entry with
 * `error_occurred` is an error, one with `skipped` is skipped.
 */
export const gbench: ResultFormat = {
  name: "gbench",
  summary: NAME,
  recognises(_fileName, head) {
    const text = headText(head);
    const context = text.search(/"context"\s*:\s*\{/);
    return /^\s*\{/.test(text) &&
      (/"benchmarks"\s*:\s*\[/.test(text) || context >= 0 && text.includes('"num_cpus"', context));
  },
  async *parse(input) {
    const root: JsonRoot = new Map();
    const paths = ["$.context.date", "$.context.host_name", "$.benchmarks.*"];
    for await (const parts of readJsonParts(input, paths, NAME, root)) {
      yield parts.flatMap(({ path, value }): FormatItem[] =>
        path[1] === "date"
          ? timeOf("startedAt", value)
          : path[1] === "host_name"
          ? machineOf(value)
          : [toItem(asObject(value), `benchmarks[${path[1]}]`)]
      );
    }
    if (root.get("benchmarks") !== "list") throw new FormatError(NAME, "it has no list `benchmarks`");
  },
};

function toItem(entry: Record<string, unknown> | undefined, place: string): FormatItem {
  if (typeof entry?.name !== "string") {
    return { kind: "rejected", place, reason: "is not a benchmark with a name" };
  }
  const isError = entry.error_occurred === true;
  const isSkipped = entry.skipped === true;
  const record: ResultRecord = {
    case: caseName(entry.name),
    outcome: isError ? "error" : isSkipped ? "skipped" : "passed",
  };
  const message = excerpt(asText(entry.error_message ?? entry.skip_message));
  if (message !== undefined) record.message = message;
  const samples = isError ? [] : samplesIn(entry);
  if (samples.length > 0) record.samples = samples.slice(0, 1000);
  return { kind: "result", record };
}

function samplesIn(entry: Record<string, unknown>): Sample[] {
  // A coefficient of variation has the unit "percentage".
  const scale = entry.aggregate_unit === undefined || entry.aggregate_unit === "time"
    ? NANOSECONDS[asText(entry.time_unit)]
    : undefined;
  return Object.entries(entry).flatMap(([key, value]): Sample[] => {
    if (typeof value !== "number" || IDS.test(key)) return [];
    // The coefficients of a complexity are times too, per step of the input size.
    const isTime = /^(?:real|cpu)_(?:time|coefficient)$/.test(key);
    return isTime && scale !== undefined ? sampleOf(key, value * scale, "ns") : sampleOf(key, value);
  });
}
