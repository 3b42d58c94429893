import { MAX_CASE, MAX_SAMPLES, type ResultRecord } from "../schemas/record.ts";
import { FormatError, type FormatItem, type ResultFormat, timeOf } from "./format.ts";
import { asObject, asText, type JsonRoot, readJsonParts } from "./json.ts";
import { headText } from "./lines.ts";
import { numberSample } from "./sample.ts";
import { caseName, excerpt, milliseconds, wordOf } from "./text.ts";

const NAME = "GoogleTest JSON";
/** GoogleTest's own keys; all others are properties that the test recorded. */
const OWN =
  /^(?:name|file|line|status|result|timestamp|time|classname|value_param|type_param|failures|skipped)$/;
/** Keys of which every test that ran has some; a listed test has none. */
const RAN = ["status", "result", "time", "timestamp", "failures"];

/**
 * The output of `--gtest_output=json` (GoogleTest's advanced guide, "Generating a JSON report"): each entry of a `testsuite` list
 * is a case, `<classname>.<name>`. With failures it failed; with status NOTRUN or result SKIPPED or SUPPRESSED it was skipped;
 * else it passed. Numeric properties that a test recorded are samples.
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
        suite = bytesRead(asText(value)).slice(0, MAX_CASE);
        return [];
      });
    }
    if (root.get("testsuites") !== "list") throw new FormatError(NAME, "it has no list `testsuites`");
  },
};

function toItem(value: unknown, suite: string, place: string): FormatItem {
  const test = asObject(value);
  if (typeof test?.name !== "string") return { kind: "rejected", place, reason: "is not a test with a name" };
  const name = bytesRead(test.name);
  if (!RAN.some((key) => Object.hasOwn(test, key))) {
    return { kind: "rejected", place, reason: "is only listed (by --gtest_list_tests) and did not run" };
  }
  const prefix = bytesRead(asText(test.classname)) || suite;
  const failures = Array.isArray(test.failures) ? test.failures : [];
  const status = asText(test.status).toUpperCase();
  const result = asText(test.result).toUpperCase();
  const isSkipped = status === "NOTRUN" || result === "SKIPPED" || result === "SUPPRESSED";
  const record: ResultRecord = {
    case: caseName(prefix === "" ? name : `${prefix}.${name}`),
    outcome: failures.length > 0 ? "failed" : isSkipped ? "skipped" : "passed",
  };
  if (record.outcome === "skipped") record.word = wordOf(result || status);
  const durationMs = milliseconds(test.time);
  if (durationMs !== undefined) record.durationMs = durationMs;
  const details = failures.length > 0 ? failures : Array.isArray(test.skipped) ? test.skipped : [];
  const message = excerpt(
    details.slice(0, 20).map((one) => bytesRead(asText(asObject(one)?.failure ?? asObject(one)?.message)))
      .join(
        "\n",
      ),
  );
  if (message !== undefined) record.message = message;
  const samples = Object.entries(test).flatMap(([key, one]) => OWN.test(key) ? [] : numberSample(key, one));
  if (samples.length > 0) record.samples = samples.slice(0, MAX_SAMPLES);
  return { kind: "result", record };
}

/** Restores UTF-8 text of which GoogleTest escaped each byte as a character. */
function bytesRead(text: string): string {
  // deno-lint-ignore no-control-regex
  if (!/[\x80-\xff]/.test(text) || /[^\x00-\xff]/.test(text)) return text;
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(
      Uint8Array.from(text, (char) => char.charCodeAt(0)),
    );
  } catch {
    return text;
  }
}
