import { groupOf, type Outcome } from "../schemas/outcome.ts";
import type { ResultRecord } from "../schemas/record.ts";
import type { Run } from "../schemas/run.ts";
import { caseName, milliseconds } from "./text.ts";

/** Names of the properties that hold what JUnit has no place for; `junit.ts` reads them back. */
export const PROPERTY = "chub.record";

const ELEMENTS: Partial<Record<Outcome, string>> = { error: "error", timeout: "error", lab_error: "error" };

/** The beginning of a run as JUnit XML. */
export function junitHead(run: Pick<Run, "test" | "startedAt" | "environment">): string {
  const { machine } = run.environment;
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites>\n<testsuite name=${attribute(run.test)}${
    run.startedAt === null ? "" : ` timestamp=${attribute(run.startedAt)}`
  }${machine === undefined ? "" : ` hostname=${attribute(machine)}`}>\n`;
}

export const JUNIT_TAIL = "</testsuite>\n</testsuites>\n";

/** A result as a `testcase`: bad ones as `failure` or `error`, silent ones as `skipped`; exactly what it is in a property. */
export function junitCase(record: ResultRecord): string {
  const { case: name, outcome, durationMs, message = "" } = record;
  const at = name.lastIndexOf(".");
  // The same twice reads as one name.
  const isSplit = at > 0 && at < name.length - 1 && name.slice(0, at) !== name.slice(at + 1);
  const [classname, short] = isSplit ? [name.slice(0, at), name.slice(at + 1)] : ["", name];
  const time = durationMs === undefined ? "" : ` time="${durationMs / 1000}"`;
  const group = groupOf(outcome);
  const element = ELEMENTS[outcome] ??
    (group === "bad" ? "failure" : group === "silent" ? "skipped" : undefined);
  const inner = element === undefined
    ? ""
    : message === ""
    ? `<${element}/>`
    : `<${element}>${text(message)}</${element}>`;
  const told = { failure: "failed", error: "error", skipped: "skipped" }[element ?? ""] ?? "passed";
  const isExact = told === outcome && record.word === undefined && record.samples === undefined &&
    (record.message === undefined || message !== "" && element !== undefined && message.trim() === message) &&
    caseName(name) === name &&
    (durationMs === undefined || milliseconds(durationMs / 1000) === durationMs);
  const property = isExact
    ? ""
    : `<properties><property name="${PROPERTY}" value=${attribute(JSON.stringify(record))}/></properties>`;
  return `<testcase classname=${attribute(classname)} name=${attribute(short)}${time}${
    property + inner === "" ? "/>" : `>${property}${inner}</testcase>`
  }\n`;
}

function attribute(value: string): string {
  return `"${text(value).replaceAll('"', "&quot;").replaceAll("\n", "&#10;").replaceAll("\t", "&#9;")}"`;
}

function text(value: string): string {
  return value
    // What XML 1.0 has no way to say.
    // deno-lint-ignore no-control-regex
    .replace(/[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]/g, "\uFFFD")
    .replace(
      /[&<>\r]/g,
      (char) => char === "&" ? "&amp;" : char === "<" ? "&lt;" : char === ">" ? "&gt;" : "&#13;",
    );
}
