import { z } from "zod";
import { reasonOf } from "../../errors.ts";
import { type Outcome, outcome, OUTCOMES } from "../../schemas/outcome.ts";
import { MAX_SAMPLE_TEXT, type ResultRecord, type Sample } from "../../schemas/record.ts";
import { sampleOf } from "../../formats/sample.ts";
import { compilePath } from "./path.ts";
import { foreignName, foreignNumber, foreignText } from "../core/foreign_values.ts";

/** A JSONPath (RFC 9535). */
export const path = z.string().min(1).max(500).superRefine((text, context) => {
  try {
    compilePath(text);
  } catch (error) {
    context.addIssue({ code: "custom", message: `is not a JSONPath: ${reasonOf(error)}` });
  }
}).meta({ description: "JSONPath (RFC 9535)" });

/** Maps an item that `results` finds to a result. */
export const resultMapping = z.strictObject({
  case: z.union([path, z.array(path).min(1).max(5)]).meta({
    description: "Case name, or its parts, which are joined by a dot",
  }),
  outcome: path,
  message: path.optional(),
  durationMs: path.optional(),
  durationS: path.optional(),
  samples: z.record(z.string().min(1).max(200), path).optional().meta({
    description: "Metric -> path to its value",
  }),
});

/** Maps an item that `runs` finds to a run. */
export const runMapping = z.strictObject({
  externalId: path.meta({ description: "Identifies the run in its source" }),
  changelist: path.meta({ description: "A number, or a commit's hash" }),
  attempt: path.optional(),
  committedAt: path.optional(),
  startedAt: path.optional(),
  finishedAt: path.optional(),
  package: path.optional(),
  url: path.optional(),
  environment: z.record(z.string().min(1).max(64), path).default({}),
});

export const outcomeWords = z.record(z.string().min(1).max(64), outcome).default({}).meta({
  description:
    "Source's outcome word -> outcome; needed only for words the hub does not know or reads differently",
});

export type Finder = (value: unknown) => unknown;

/** Returns a function that finds the first value at a path, or undefined for none or null. */
export function finder(text: string): Finder;
export function finder(text: string | undefined): Finder | undefined;
export function finder(text: string | undefined): Finder | undefined {
  if (text === undefined) return undefined;
  const query = compilePath(text);
  return (value) => query.query(value as never).nodes[0]?.value ?? undefined;
}

/** Returns a function that finds all values at a path. */
export function lister(text: string): (value: unknown) => unknown[] {
  const query = compilePath(text);
  return (value) => query.query(value as never).values();
}

export function textOf(value: unknown): string | undefined {
  if (typeof value === "string") return value;
  return typeof value === "number" || typeof value === "boolean" ? String(value) : undefined;
}

/** Outcome words of other systems; the hub's own are in `OUTCOMES`. */
const WORDS: Record<string, Outcome> = {
  ok: "passed",
  pass: "passed",
  success: "passed",
  successful: "passed",
  succeeded: "passed",
  true: "passed",
  fail: "failed",
  failure: "failed",
  "not ok": "failed",
  false: "failed",
  errored: "error",
  broken: "error",
  crash: "error",
  crashed: "error",
  timedout: "timeout",
  timed_out: "timeout",
  skip: "skipped",
  ignored: "skipped",
  disabled: "skipped",
  xfail: "xfailed",
  xpass: "xpassed",
  pending: "not_run",
  notrun: "not_run",
};

/**
 * Returns a function that maps an item to a result, or to the reason why it cannot. Values that cannot be stored are kept as
 * they are: `fitRuns` repairs and reports them.
 */
export function resultMaker(
  mapping: z.infer<typeof resultMapping>,
  words: Record<string, Outcome>,
): (value: unknown) => ResultRecord | string {
  const names = [mapping.case].flat().map((one) => finder(one));
  const outcomeAt = finder(mapping.outcome);
  const message = finder(mapping.message);
  const ms = finder(mapping.durationMs);
  const seconds = finder(mapping.durationS);
  const samples = Object.entries(mapping.samples ?? {}).map(([metric, at]) => [metric, finder(at)] as const);
  return (value) => {
    const name = names.map((find) => textOf(find(value))).filter(Boolean).join(".");
    if (name === "") return "has no name at the path of `case`";
    const word = textOf(outcomeAt(value));
    if (word === undefined) return "has no outcome at the path of `outcome`";
    const meant = outcomeOf(word, words);
    const record: ResultRecord = { case: foreignName(name), outcome: meant ?? "unresolved" };
    if (meant !== word) record.word = word || "(none)";
    const durationMs = foreignNumber(ms?.(value)) ?? foreignNumber(seconds?.(value), 1000);
    if (durationMs !== undefined) record.durationMs = durationMs;
    const text = foreignText(textOf(message?.(value)) ?? "");
    if (text !== "") record.message = text;
    const values: Sample[] = samples.flatMap(([metric, find]) => samplesOf(metric, find(value)));
    if (values.length > 0) record.samples = values;
    return record;
  };
}

/** The samples at a metric's path. A value that cannot be stored is kept for `fitRuns` to report. */
function samplesOf(metric: string, value: unknown): Sample[] {
  if (typeof value !== "number" && (typeof value !== "string" || value === "")) return [];
  const fit = typeof value === "number" ? value : foreignText(value, MAX_SAMPLE_TEXT);
  return sampleOf(metric, 0).map((one) => ({ ...one, value: fit }));
}

const KNOWN = new Set<string>(OUTCOMES);

function outcomeOf(word: string, words: Record<string, Outcome>): Outcome | undefined {
  if (Object.hasOwn(words, word)) return words[word];
  const low = word.toLowerCase();
  if (KNOWN.has(low)) return low as Outcome;
  return Object.hasOwn(WORDS, low) ? WORDS[low] : undefined;
}
