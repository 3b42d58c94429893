import {
  MAX_CASE,
  MAX_EXCERPT,
  MAX_SAMPLES,
  type ResultRecord,
  resultRecord,
  type Sample,
} from "../schemas/record.ts";
import type { Outcome } from "../schemas/outcome.ts";
import { isMissing } from "./ctest.ts";
import { type FormatItem, machineOf, type ResultFormat, timeOf } from "./format.ts";
import { PROPERTY } from "./junit_write.ts";
import { numberSample } from "./sample.ts";
import { caseName, excerpt, milliseconds } from "./text.ts";
import { readXml, rootOf, type XmlHandler } from "./xml.ts";
import { XmlFault } from "./xml_parser.ts";

const NAME = "JUnit XML";
/** Outcomes from best to worst. */
const RANK: Outcome[] = ["passed", "skipped", "failed", "error"];
const ROOTS = ["testsuites", "testsuite", "testcase", "testrun"];
/** Message that Catch2 adds to the failures of a test tagged `[!mayfail]`. */
const MAY_FAIL = "TEST_CASE tagged with !mayfail";
const NOT_RUN = /^(?:notrun|suppressed|disabled)$/i;
const CHILDREN: Record<string, Outcome> = {
  failure: "failed",
  error: "error",
  skipped: "skipped",
  ignored: "skipped",
};

interface OpenCase {
  name: string;
  outcome: Outcome;
  word: string | undefined;
  durationMs: number | undefined;
  message: string;
  /** Range of the last verdict's type and message attributes within `message`. */
  attributes: { from: number; to: number };
  /** Whether the verdict's element has text. */
  hasText: boolean;
  output: string;
  samples: Sample[];
  /** The type of a `skipped` element; pytest and Node report expected failures in it. */
  skipType: string | undefined;
  /** The message of a `skipped` element; Catch2 and CTest report the cause in it. */
  skipMessage: string | undefined;
  /** The complete record, in a file that the hub itself wrote. */
  exact: ResultRecord | undefined;
}

/**
 * JUnit XML as Surefire, Jenkins, pytest, GoogleTest, PHPUnit, Jest and lit write it (there is no standard; the Jenkins
 * junit-plugin's schema is the nearest). Every `testcase` at any depth is one case: `error`, else `failure`, else
 * `skipped`, else passed; Surefire's flaky and rerun elements do not change it. A case is named `<classname>.<name>`. Files of
 * `junit_write.ts` are read back exactly.
 */
export const junit: ResultFormat = {
  name: "junit",
  summary: NAME,
  recognises: (_fileName, head) => ROOTS.includes(rootOf(head) ?? ""),
  parse: (input) => readXml(input, NAME, new JunitHandler()),
};

class JunitHandler implements XmlHandler<FormatItem> {
  readonly roots = ROOTS;
  #items: FormatItem[] = [];
  #case: OpenCase | undefined;
  /** The open cases around `#case`. */
  #outer: OpenCase[] = [];
  /** For each open suite, the joined names of the outer suites and itself, cut to a case name's limit. */
  #suites: string[] = [];
  #isTimed = false;
  #hasCase = false;
  /** The element that other kinds of reports have in place of `testcase`. */
  #foreign: string | undefined;

  take(): FormatItem[] {
    const items = this.#items;
    this.#items = [];
    return items;
  }

  open(name: string, attributes: Record<string, string>, path: readonly string[]): void {
    if (name === "testsuite") this.#suite(attributes);
    else if (name === "testcase") this.#begin(attributes);
    else if (name === "testsuites" && path.length === 1) {
      this.#items.push(...timeOf("startedAt", attributes.timestamp));
    } else if (this.#case === undefined) {
      if (name === "test" || name === "suite") this.#foreign ??= name;
    } else if (path.at(-2) === "testcase") this.#child(name, attributes);
    else if (name === "property" && path.at(-3) === "testcase") this.#property(this.#case, attributes);
  }

  #property(open: OpenCase, { name = "", value }: Record<string, string>): void {
    if (name === PROPERTY) open.exact = exactRecord(value);
    else if (open.samples.length < MAX_SAMPLES) open.samples.push(...numberSample(name, value));
  }

  #suite({ name = "", timestamp, hostname }: Record<string, string>): void {
    if (this.#suites.length === 0) this.#isTimed = timestamp !== undefined;
    const outer = this.#suites.at(-1) ?? "";
    const joined = name === "" ? outer : outer === "" ? name : `${outer}.${name}`;
    this.#suites.push(joined.slice(0, MAX_CASE));
    if (this.#suites.length > 1) return;
    // Catch2 writes `tbd` for an unknown host.
    this.#items.push(...timeOf("startedAt", timestamp), ...hostname === "tbd" ? [] : machineOf(hostname));
  }

  #begin(attributes: Record<string, string>): void {
    if (this.#case !== undefined) this.#outer.push(this.#case);
    this.#hasCase = true;
    const { name = "", status, result, ignored } = attributes;
    const prefix = this.#prefix(attributes);
    const word = [status, result, ...ignored === "true" ? ["ignored"] : []]
      .find((one) => one !== undefined && (one === "ignored" || NOT_RUN.test(one)));
    this.#case = {
      // A failure in a suite's setup may have no name.
      name: caseName(
        prefix === "" ? name || (this.#suites.at(-1) ?? "") : name === "" ? prefix : `${prefix}.${name}`,
      ),
      outcome: word === undefined ? "passed" : "skipped",
      // GoogleTest 1.10 writes no `skipped` element, so that readers count the case as passed.
      word: word ?? (result === "skipped" ? result : undefined),
      durationMs: milliseconds(attributes.time),
      message: "",
      attributes: { from: 0, to: 0 },
      hasText: false,
      output: "",
      samples: [],
      skipType: undefined,
      skipMessage: undefined,
      exact: undefined,
    };
  }

  #prefix({ name, classname, status, result }: Record<string, string>): string {
    const suites = this.#suites.at(-1) ?? "";
    // Node's runner gives every case the class `test`, and its suites no time.
    if (classname === undefined || classname === "test" && !this.#isTimed) return suites;
    // CTest and jest-junit repeat the whole name as the class; in GoogleTest a class may have the name of its test.
    const isTwice = classname === name &&
      (/\s/.test(classname) || status !== undefined && result === undefined);
    return isTwice ? "" : classname;
  }

  #child(name: string, { type, message }: Record<string, string>): void {
    const open = this.#case!;
    const outcome = Object.hasOwn(CHILDREN, name) ? CHILDREN[name] : undefined;
    if (outcome === undefined) {
      if (/^flaky(?:Failure|Error)$/.test(name) && open.outcome === "passed") open.word = "flaky";
      return;
    }
    if (outcome === "skipped") {
      open.skipType = type;
      open.skipMessage = message;
    }
    if (RANK.indexOf(outcome) > RANK.indexOf(open.outcome)) {
      open.outcome = outcome;
      open.message = "";
      open.hasText = false;
      open.word = undefined;
    }
    if (outcome === open.outcome) {
      // Gradle's messages begin with the type.
      const parts = message?.startsWith(`${type}:`) ? [message] : [type, message];
      const text = parts.filter((part) => part !== undefined && part !== "").join(": ");
      if (open.message !== "" && !open.message.endsWith("\n")) open.message += "\n";
      const from = open.message.length;
      if (text !== "") open.message = (open.message + text + "\n").slice(0, MAX_EXCERPT);
      open.attributes = { from, to: open.message.length };
    }
  }

  text(text: string, path: readonly string[]): void {
    const open = this.#case;
    if (open === undefined) return;
    // Some producers nest elements in a verdict.
    const isWithin = Object.hasOwn(CHILDREN, path.at(-2) ?? "") && path.at(-3) === "testcase";
    const parent = path.at(isWithin ? -2 : -1)!;
    if (Object.hasOwn(CHILDREN, parent)) {
      // The text of a less severe verdict does not explain the case's outcome.
      if (CHILDREN[parent] === open.outcome && open.message.length < MAX_EXCERPT) {
        open.message = (open.message + text).slice(0, MAX_EXCERPT);
        open.hasText ||= text.trim() !== "";
      }
    } else if ((parent === "system-out" || parent === "system-err") && open.output.length < MAX_EXCERPT) {
      open.output = (open.output + text).slice(0, MAX_EXCERPT);
    }
  }

  close(name: string, path: readonly string[]): void {
    if (path.length === 0 && !this.#hasCase && this.#foreign !== undefined) {
      throw new XmlFault(`its tests are <${this.#foreign}>, not <testcase>`);
    }
    if (name === "testsuite") this.#suites.pop();
    else if (name === "testcase") this.#finish();
    else if (this.#case !== undefined && Object.hasOwn(CHILDREN, name)) dropRepeat(this.#case);
  }

  #finish(): void {
    const open = this.#case!;
    const { name, durationMs, message, output, samples, exact } = open;
    this.#case = this.#outer.pop();
    if (exact !== undefined) {
      this.#items.push({ kind: "result", record: exact });
      return;
    }
    const { outcome, word } = verdict(open);
    const isBad = outcome === "failed" || outcome === "error";
    const text = excerpt(isBad && !open.hasText ? `${message}\n${output}` : message);
    const record: ResultRecord = { case: name, outcome };
    if (word !== undefined) record.word = word;
    if (durationMs !== undefined) record.durationMs = durationMs;
    if (text !== undefined) record.message = text;
    if (samples.length > 0) record.samples = samples;
    this.#items.push({ kind: "result", record });
  }
}

/**
 * The final outcome. pytest and Node report an expected failure in the type of a `skipped` element, and Catch2 an allowed
 * failure in its message. pytest's own totals count it as skipped, and so does the hub, with the word `xfailed`. CTest reports
 * there a missing requirement, and counts such a test as failed.
 */
function verdict(
  { outcome, word, skipType, skipMessage }: OpenCase,
): { outcome: Outcome; word: string | undefined } {
  if (skipType === "pytest.xfail" && outcome === "skipped") return { outcome, word: "xfailed" };
  if (skipType === "todo" && outcome === "failed") return { outcome: "xfailed", word: undefined };
  if (skipMessage === MAY_FAIL && (outcome === "failed" || outcome === "error")) {
    return { outcome: "xfailed", word: undefined };
  }
  if (outcome === "skipped" && word === "notrun" && isMissing(skipMessage)) return { outcome: "error", word };
  return { outcome, word };
}

/** Removes a verdict's type and message if its text begins with them. */
function dropRepeat(open: OpenCase): void {
  const { from, to } = open.attributes;
  const repeated = open.message.slice(from, to).trim();
  const text = open.message.slice(to).trimStart();
  // XML parsers read line ends in an attribute as spaces.
  const isRepeated = repeated !== "" &&
    text.slice(0, repeated.length).replace(/\s/g, " ") === repeated.replace(/\s/g, " ");
  if (isRepeated) open.message = open.message.slice(0, from) + text;
  open.attributes = { from: open.message.length, to: open.message.length };
}

function exactRecord(json: string | undefined): ResultRecord | undefined {
  try {
    return resultRecord.safeParse(JSON.parse(json ?? "")).data;
  } catch {
    return undefined;
  }
}
