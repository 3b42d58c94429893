import { groupOf, type Outcome } from "../schemas/outcome.ts";
import type { ResultRecord } from "../schemas/record.ts";
import type { Run } from "../schemas/run.ts";
import { caseName, milliseconds } from "./text.ts";

/** Name of the property with the complete record, for what JUnit cannot represent; `junit.ts` reads it back. */
export const PROPERTY = "chub.record";

const ELEMENTS: Partial<Record<Outcome, string>> = { error: "error", timeout: "error", lab_error: "error" };

/** The start of a run as JUnit XML. */
export function junitHead(run: Pick<Run, "test" | "startedAt" | "environment">): string {
  const { machine } = run.environment;
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites>\n<testsuite name=${attribute(run.test)}${
    run.startedAt === null ? "" : ` timestamp=${attribute(run.startedAt)}`
  }${machine === undefined ? "" : ` hostname=${attribute(machine)}`}>\n`;
}

export const JUNIT_TAIL = "</testsuite>\n</testsuites>\n";

/** A result as a `testcase`: bad as `failure` or `error`, silent as `skipped`; the exact record in a property if needed. */
export function junitCase(record: ResultRecord): string {
  const { case: name, outcome, durationMs, message = "" } = record;
  const at = name.lastIndexOf(".");
  // Readers take equal class and test names for a single name.
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
  const readBack = { failure: "failed", error: "error", skipped: "skipped" }[element ?? ""] ?? "passed";
  const isExact = readBack === outcome && record.word === undefined && record.samples === undefined &&
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
    // Characters that XML 1.0 cannot represent.
    // deno-lint-ignore no-control-regex
    .replace(/[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]/g, "\uFFFD")
    .replace(
      /[&<>\r]/g,
      (char) => char === "&" ? "&amp;" : char === "<" ? "&lt;" : char === ">" ? "&gt;" : "&#13;",
    );
}
