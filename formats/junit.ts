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
/** Worst last. */
const RANK: Outcome[] = ["passed", "skipped", "failed", "error"];
const ROOTS = ["testsuites", "testsuite", "testcase", "testrun"];
/** Catch2's, beside the failures of a test with the tag `[!mayfail]`. */
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
  /** Where the last verdict's own words lie in the message, without the element's text. */
  told: { from: number; to: number };
  /** Whether the verdict has text of its own. */
  hasText: boolean;
  output: string;
  samples: Sample[];
  /** The type of a `skipped` that says what became of a test that ran. */
  skipType: string | undefined;
  /** The message of a `skipped`, of programs that say so there. */
  skipMessage: string | undefined;
  /** All of it, where the hub itself wrote the file. */
  exact: ResultRecord | undefined;
}

/**
 * JUnit XML as Surefire, Jenkins, pytest, GoogleTest, PHPUnit, Jest and lit write it (there is no standard; the Jenkins
 * junit-plugin's schema is the nearest). Every `testcase` at any depth is one case: `error`, else `failure`, else
 * `skipped`, else passed; Surefire's flaky and rerun elements do not change it. What `junit_write.ts` wrote is read back exactly. Named `<classname>.<name>`.
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
  /** Those that `#case` lies in. */
  #outer: OpenCase[] = [];
  /** For each open suite its name behind those around it, cut to what a case's name has room for. */
  #suites: string[] = [];
  #isTimed = false;
  #hasCase = false;
  /** An element where cases would be, in other kinds of reports. */
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
    // Catch2 says so where it knows none.
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
      // What fails as a suite begins has at times no name of its own.
      name: caseName(
        prefix === "" ? name || (this.#suites.at(-1) ?? "") : name === "" ? prefix : `${prefix}.${name}`,
      ),
      outcome: word === undefined ? "passed" : "skipped",
      // GoogleTest 1.10 has no element for it; readers take it as passed.
      word: word ?? (result === "skipped" ? result : undefined),
      durationMs: milliseconds(attributes.time),
      message: "",
      told: { from: 0, to: 0 },
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
    // Node's runner gives every case this class, and its suites, where there are any, no time.
    if (classname === undefined || classname === "test" && !this.#isTimed) return suites;
    // CTest and jest-junit say the whole name twice; a class of GoogleTest's may be named as its test is.
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
      open.told = { from, to: open.message.length };
    }
  }

  text(text: string, path: readonly string[]): void {
    const open = this.#case;
    if (open === undefined) return;
    // Some have elements of their own in a verdict.
    const isWithin = Object.hasOwn(CHILDREN, path.at(-2) ?? "") && path.at(-3) === "testcase";
    const parent = path.at(isWithin ? -2 : -1)!;
    if (Object.hasOwn(CHILDREN, parent)) {
      // A lesser verdict's text is not why the case ended as it did.
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
    else if (this.#case !== undefined && Object.hasOwn(CHILDREN, name)) sayOnce(this.#case);
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
 * What pytest and Node's runner say by the type of a `skipped`, and Catch2 by its message: a test that failed as it was
 * expected, or allowed, to. pytest's own totals count it as skipped, and so do its readers; the word tells. CTest says there
 * what it needed and had not: it counts such a test as failed.
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

/** Drops a verdict's type and message where its text begins with them. */
function sayOnce(open: OpenCase): void {
  const { from, to } = open.told;
  const told = open.message.slice(from, to).trim();
  const text = open.message.slice(to).trimStart();
  // Line ends in an attribute are read as spaces.
  const isTold = told !== "" && text.slice(0, told.length).replace(/\s/g, " ") === told.replace(/\s/g, " ");
  if (isTold) open.message = open.message.slice(0, from) + text;
  open.told = { from: open.message.length, to: open.message.length };
}

function exactRecord(json: string | undefined): ResultRecord | undefined {
  try {
    return resultRecord.safeParse(JSON.parse(json ?? "")).data;
  } catch {
    return undefined;
  }
}
