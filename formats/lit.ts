import type { ResultRecord } from "../schemas/record.ts";
import type { Outcome } from "../schemas/outcome.ts";
import { FormatError, type FormatItem, type ResultFormat } from "./format.ts";
import { asObject, asText, type JsonRoot, readJsonParts } from "./json.ts";
import { headText } from "./lines.ts";
import { samplesOf } from "./sample.ts";
import { caseName, excerpt, milliseconds, wordOf } from "./text.ts";

const NAME = "lit JSON";
const CODES: Record<string, Outcome> = {
  PASS: "passed",
  FLAKYPASS: "passed",
  FAIL: "failed",
  XFAIL: "xfailed",
  XPASS: "xpassed",
  UNSUPPORTED: "unsupported",
  UNRESOLVED: "unresolved",
  TIMEOUT: "timeout",
  SKIPPED: "skipped",
  EXCLUDED: "skipped",
  NOEXE: "error",
};

/** Codes that add nothing to the outcome, and so are not stored as the word. */
const PLAIN = /^(?:PASS|FAIL|XFAIL|XPASS|UNSUPPORTED|UNRESOLVED|TIMEOUT|SKIPPED)$/;

export function isPlainCode(code: string): boolean {
  return PLAIN.test(code);
}

/** The outcome of a code; `unresolved` for a suite's own code. */
export function outcomeOfCode(code: string): Outcome {
  return Object.hasOwn(CODES, code) ? CODES[code]! : "unresolved";
}

/**
 * The output of LLVM's `lit --output` (lit/reports.py): each entry of `tests` is a case, micro-tests included; `metrics` become
 * samples. A suite's own code becomes `unresolved`, with the code as the word.
 */
export const lit: ResultFormat = {
  name: "lit",
  summary: NAME,
  recognises(_fileName, head) {
    const text = headText(head);
    return /^\s*\{/.test(text) && /"tests"\s*:/.test(text) && /"code"\s*:|"__version__"\s*:/.test(text);
  },
  async *parse(input) {
    const root: JsonRoot = new Map();
    for await (const parts of readJsonParts(input, ["$.tests.*"], NAME, root)) {
      yield parts.map(({ path, value }) => toItem(value, `tests[${path[1]}]`));
    }
    if (root.get("tests") !== "list") throw new FormatError(NAME, "it has no list `tests`");
  },
};

function toItem(value: unknown, place: string): FormatItem {
  const test = asObject(value);
  const code = test?.code;
  if (test === undefined || typeof test.name !== "string" || typeof code !== "string") {
    return { kind: "rejected", place, reason: "is not a test with a name and a code" };
  }
  const outcome = outcomeOfCode(code);
  const record: ResultRecord = { case: caseName(test.name), outcome };
  if (!isPlainCode(code)) record.word = wordOf(code);
  const durationMs = milliseconds(test.elapsed);
  if (durationMs !== undefined) record.durationMs = durationMs;
  const message = outcome === "passed" ? undefined : excerpt(asText(test.output));
  if (message !== undefined) record.message = message;
  const samples = samplesOf(asObject(test.metrics) ?? {});
  if (samples.length > 0) record.samples = samples;
  return { kind: "result", record };
}
