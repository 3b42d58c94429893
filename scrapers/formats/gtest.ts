import type { ResultRecord } from "../../schemas/record.ts";
import { FormatError, type FormatItem, type ResultFormat, timeOf } from "./format.ts";
import { asObject, asText, type JsonRoot, readJsonParts } from "./json.ts";
import { headText } from "./lines.ts";
import { caseName, excerpt, milliseconds, wordOf } from "./text.ts";

const NAME = "GoogleTest JSON";

/**
 * What `--gtest_output=json` writes (GoogleTest's advanced guide, "Generating a JSON report"): an entry of a `testsuite` list is
 * a case, `<classname>.<name>`. Failures: failed; status NOTRUN, result SKIPPED or SUPPRESSED: skipped; else passed.
 */
export const gtest: ResultFormat = {
  name: "gtest",
  summary: NAME,
  recognises: (_fileName, head) => /^\s*\{[^]*"testsuites"\s*:/.test(headText(head)),
  async *parse(input) {
    const root: JsonRoot = new Map();
    const paths = ["$.timestamp", "$.testsuites.*.name", "$.testsuites.*.testsuite.*"];
    let suite = "";
    for await (const parts of readJsonParts(input, paths, NAME, root)) {
      yield parts.flatMap(({ path, value }): FormatItem[] => {
        if (path[0] === "timestamp") return timeOf("startedAt", value);
        if (path[2] === "testsuite") {
          return [toItem(value, suite, `testsuites[${path[1]}].testsuite[${path[3]}]`)];
        }
        suite = asText(value);
        return [];
      });
    }
    if (root.get("testsuites") !== "list") throw new FormatError(NAME, "it has no list `testsuites`");
  },
};

function toItem(value: unknown, suite: string, place: string): FormatItem {
  const test = asObject(value);
  if (typeof test?.name !== "string") return { kind: "rejected", place, reason: "is no test with a name" };
  const prefix = asText(test.classname) || suite;
  const failures = Array.isArray(test.failures) ? test.failures : [];
  const status = asText(test.status).toUpperCase();
  const result = asText(test.result).toUpperCase();
  const isSkipped = status === "NOTRUN" || result === "SKIPPED" || result === "SUPPRESSED";
  const record: ResultRecord = {
    case: caseName(prefix === "" ? test.name : `${prefix}.${test.name}`),
    outcome: failures.length > 0 ? "failed" : isSkipped ? "skipped" : "passed",
  };
  if (record.outcome === "skipped") record.word = wordOf(result || status);
  const durationMs = milliseconds(test.time);
  if (durationMs !== undefined) record.durationMs = durationMs;
  const told = failures.length > 0 ? failures : Array.isArray(test.skipped) ? test.skipped : [];
  const message = excerpt(
    told.slice(0, 20).map((one) => asText(asObject(one)?.failure ?? asObject(one)?.message)).join("\n"),
  );
  if (message !== undefined) record.message = message;
  return { kind: "result", record };
}
