import type { ResultRecord } from "../schemas/record.ts";
import type { Outcome } from "../schemas/outcome.ts";
import { FormatError, type FormatItem, type ResultFormat, timeOf } from "./format.ts";
import { asObject, asText, type JsonRoot, readJsonParts } from "./json.ts";
import { headText } from "./lines.ts";
import { caseName, excerpt } from "./text.ts";

const NAME = "Mocha JSON";
/** `tests` lists all tests without their outcomes, and a failed hook is only in `failures`, so these lists are read instead. */
const LISTS: Record<string, Outcome> = { passes: "passed", failures: "failed", pending: "skipped" };

/**
 * The output of `mocha --reporter json` (lib/reporters/json.js): each entry of `passes`, `failures` and `pending` is a case named by
 * its `fullTitle`; pending is skipped.
 */
export const mocha: ResultFormat = {
  name: "mocha",
  summary: NAME,
  recognises: (_fileName, head) => /^\s*\{\s*"stats"\s*:\s*\{\s*"suites"\s*:/.test(headText(head)),
  async *parse(input) {
    const root: JsonRoot = new Map();
    const paths = ["$.stats.start", "$.stats.end", ...Object.keys(LISTS).map((list) => `$.${list}.*`)];
    for await (const parts of readJsonParts(input, paths, NAME, root)) {
      yield parts.flatMap(({ path: [list, place], value }): FormatItem[] =>
        list === "stats"
          ? timeOf(place === "start" ? "startedAt" : "finishedAt", value)
          : [toItem(asObject(value), LISTS[list!]!, `${list}[${place}]`)]
      );
    }
    const missing = Object.keys(LISTS).find((list) => root.get(list) !== "list");
    if (missing !== undefined) throw new FormatError(NAME, `it has no list \`${missing}\``);
  },
};

function toItem(test: Record<string, unknown> | undefined, outcome: Outcome, place: string): FormatItem {
  if (typeof test?.fullTitle !== "string") {
    return { kind: "rejected", place, reason: "is not a test with a fullTitle" };
  }
  const record: ResultRecord = { case: caseName(test.fullTitle), outcome };
  if (typeof test.duration === "number" && test.duration >= 0 && test.duration <= 1e12) {
    record.durationMs = test.duration;
  }
  const error = asObject(test.err);
  const message = outcome === "failed" ? excerpt(asText(error?.stack) || asText(error?.message)) : undefined;
  if (message !== undefined) record.message = message;
  return { kind: "result", record };
}
