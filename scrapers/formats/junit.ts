import { MAX_EXCERPT, type ResultRecord, resultRecord } from "../../schemas/record.ts";
import type { Outcome } from "../../schemas/outcome.ts";
import { type FormatItem, machineOf, type ResultFormat, timeOf } from "./format.ts";
import { PROPERTY } from "./junit_write.ts";
import { caseName, excerpt, milliseconds } from "./text.ts";
import { readXml, type XmlHandler, xmlHead } from "./xml.ts";

const NAME = "JUnit XML";
/** Worst last. */
const RANK: Outcome[] = ["passed", "skipped", "failed", "error"];
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
  output: string;
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
  recognises: (_fileName, head) => /<(?:\w+:)?test(?:suites?|case)[\s>/]/.test(xmlHead(head)),
  parse: (input) => readXml(input, NAME, new JunitHandler()),
};

class JunitHandler implements XmlHandler<FormatItem> {
  readonly roots = ["testsuites", "testsuite", "testcase", "testrun"];
  #items: FormatItem[] = [];
  #case: OpenCase | undefined;
  /** Those that `#case` lies in. */
  #outer: OpenCase[] = [];
  #suites: string[] = [];

  take(): FormatItem[] {
    const items = this.#items;
    this.#items = [];
    return items;
  }

  open(name: string, attributes: Record<string, string>, path: readonly string[]): void {
    if (name === "testsuite") this.#suite(attributes);
    else if (name === "testcase") this.#begin(attributes);
    else if (this.#case === undefined) return;
    else if (path.at(-2) === "testcase") this.#child(name, attributes);
    else if (name === "property" && attributes.name === PROPERTY) {
      this.#case.exact = exactRecord(attributes.value);
    }
  }

  #suite({ name = "", timestamp, hostname }: Record<string, string>): void {
    this.#suites.push(name);
    if (this.#suites.length > 1) return;
    this.#items.push(...timeOf("startedAt", timestamp), ...machineOf(hostname));
  }

  #begin(attributes: Record<string, string>): void {
    if (this.#case !== undefined) this.#outer.push(this.#case);
    const { name = "", classname, status, result } = attributes;
    const prefix = classname ?? this.#suites.filter((suite) => suite !== "").join(".");
    const word = [status, result].find((one) => one !== undefined && NOT_RUN.test(one));
    this.#case = {
      name: caseName(prefix === "" ? name : name === "" ? prefix : `${prefix}.${name}`),
      outcome: word === undefined ? "passed" : "skipped",
      word,
      durationMs: milliseconds(attributes.time),
      message: "",
      output: "",
      exact: undefined,
    };
  }

  #child(name: string, { type, message }: Record<string, string>): void {
    const open = this.#case!;
    const outcome = Object.hasOwn(CHILDREN, name) ? CHILDREN[name] : undefined;
    if (outcome === undefined) {
      if (/^flaky(?:Failure|Error)$/.test(name) && open.outcome === "passed") open.word = "flaky";
      return;
    }
    if (RANK.indexOf(outcome) > RANK.indexOf(open.outcome)) {
      open.outcome = outcome;
      open.message = "";
      open.word = undefined;
    }
    if (outcome === open.outcome) {
      const text = [type, message].filter((part) => part !== undefined && part !== "").join(": ");
      if (text !== "") open.message = (open.message + text + "\n").slice(0, MAX_EXCERPT);
    }
  }

  text(text: string, path: readonly string[]): void {
    const open = this.#case;
    if (open === undefined) return;
    const parent = path.at(-1)!;
    if (Object.hasOwn(CHILDREN, parent)) {
      // A lesser verdict's text is not why the case ended as it did.
      if (CHILDREN[parent] === open.outcome && open.message.length < MAX_EXCERPT) {
        open.message = (open.message + text).slice(0, MAX_EXCERPT);
      }
    } else if ((parent === "system-out" || parent === "system-err") && open.output.length < MAX_EXCERPT) {
      open.output = (open.output + text).slice(0, MAX_EXCERPT);
    }
  }

  close(name: string): void {
    if (name === "testsuite") this.#suites.pop();
    else if (name === "testcase") this.#finish();
  }

  #finish(): void {
    const { name, outcome, word, durationMs, message, output, exact } = this.#case!;
    this.#case = this.#outer.pop();
    if (exact !== undefined) {
      this.#items.push({ kind: "result", record: exact });
      return;
    }
    const isBad = outcome === "failed" || outcome === "error";
    const text = excerpt(message) ?? (isBad ? excerpt(output) : undefined);
    const record: ResultRecord = { case: name, outcome };
    if (word !== undefined) record.word = word;
    if (durationMs !== undefined) record.durationMs = durationMs;
    if (text !== undefined) record.message = text;
    this.#items.push({ kind: "result", record });
  }
}

function exactRecord(json: string | undefined): ResultRecord | undefined {
  try {
    return resultRecord.safeParse(JSON.parse(json ?? "")).data;
  } catch {
    return undefined;
  }
}
