import { MAX_CASE, MAX_EXCERPT, type ResultRecord } from "../schemas/record.ts";
import { FormatError, type FormatItem, type ResultFormat } from "./format.ts";
import { headText, type Line, readByLine } from "./lines.ts";
import { readPlan, TapPlan, type WrittenPlan } from "./tap_plan.ts";
import { readPoint, type TapPoint } from "./tap_point.ts";
import { caseName, excerpt } from "./text.ts";

const NAME = "TAP";
const BAIL = /^Bail out!/i;
/** The line in which `prove` names a script: before its points, and again after those of a good script. */
const SCRIPT = /^(?:\[\d\d:\d\d:\d\d\] )?((?=\S*[./])\S+) \.\.+ ?(?:skipped: (.*))?$/;
const MAX_MS = 1e12;
/** Most missing points reported for one file: a plan may promise any number, and a log of `prove` may have many plans. */
const MAX_MISSING = 1_000_000;
const SCRIPT_OK = /^ok(?: +\d+ ms\b.*)?$/;
/** The lines with which the kernel's selftests begin a test's output, which they print before its point. */
const OUTPUT_BEFORE = /^# (?:selftests: | RUN {2,}\S)/;
const PROVE_MESSAGE = /^(?:(Dubious, test returned .*)|Bailout called\. +Further testing stopped: (.*))$/;

/** Whether a text looks like TAP: a version, a plan, or a test point at the beginning of a line. */
export function isTap(text: string): boolean {
  return /^(?:[Tt][Aa][Pp] [Vv]ersion \d+|1\.\.\d+\s*(?:#.*)?$|(?:not )?ok(?:[ \t]+(?:\d+(?:\s|$)|-)|[ \t]*$))/m
    .test(text);
}

/**
 * The Test Anything Protocol, versions 12 to 14 (testanything.org). Top-level points are the cases. A subtest counts through its
 * parent's point, and its failures appear in the parent's message, as do YAML blocks and comments after a point.
 * `not ok # TODO` is xfailed, `ok # TODO` xpassed, `# SKIP` skipped. Points that are planned but missing are `not_run`, marked
 * missing. Everything after `Bail out!` is ignored. In a log of `prove -v` each script has its own plan, and its name is a
 * prefix of its points' names.
 */
export const tap: ResultFormat = {
  name: "tap",
  summary: "TAP",
  recognises(fileName, head) {
    const text = headText(head);
    if (/^\s*(?:[<{]|\[(?!\d\d:\d\d:))/.test(text)) return false;
    return /\.tap$/i.test(fileName) || /^TAP version \d/i.test(text) || !text.includes("\0") && isTap(text);
  },
  parse: (input) => readByLine(input, new Reader()),
};

interface Point {
  record: ResultRecord;
  isBad: boolean;
  text: string;
}

class Reader {
  #hasAny = false;
  #isOver = false;
  #plan = new TapPlan();
  /** The present script, in a log of `prove`. */
  #script: string | undefined;
  /** The last point; the lines after it may belong to it. */
  #point: Point | undefined;
  /** Failures of a subtest whose point has not come yet. */
  #subtest = "";
  /** Whether the subtest's present lines belong to a failure. */
  #inFailure = false;
  #inBlock = false;
  #inBraces = false;
  /** Indentation of the YAML block after the point. */
  #blockIndent = "";
  /** Whether the previous line is the point itself. */
  #isAfterPoint = false;
  /** Output of the test whose point has not come yet, from producers that print the output first. */
  #outputBefore: string | undefined;
  #isKernels = false;
  /** Points reported as missing, of all scripts. */
  #missing = 0;
  /** Output that the kernel's selftests print before a subtest's point. */
  #subtestOutputBefore = "";

  *read({ text, number }: Line): Generator<FormatItem> {
    const script = SCRIPT.exec(text);
    if (script !== null) yield* this.#beginScript(script[1]!, script[2], number);
    if (this.#isOver || script !== null) return;
    const isAfterPoint = this.#isAfterPoint;
    this.#isAfterPoint = false;
    if (/^\s/.test(text)) return yield* this.#indented(text, number, isAfterPoint);
    this.#inBlock = false;
    if (text.startsWith("}")) this.#inBraces = false;
    else if (this.#point !== undefined && text.trimEnd() === "{") this.#inBraces = true;
    const point = readPoint(text);
    const plan = readPlan(text);
    const proveMessage = this.#script === undefined ? null : PROVE_MESSAGE.exec(text);
    if (point !== undefined) {
      if (this.#script !== undefined && this.#plan.isComplete && SCRIPT_OK.test(text.trimEnd())) return;
      yield* this.#flush();
      this.#beginPoint(point);
    } else if (plan !== undefined) {
      yield* this.#readPlanLine(plan, number);
    } else if (BAIL.test(text)) {
      yield* this.#bail(text, number);
    } else if (proveMessage !== null) {
      yield* this.#flush();
      yield note(
        number,
        proveMessage[1] === undefined
          ? `Bail out! ${proveMessage[2]!.trimStart()}`
          : `${this.#script}: ${proveMessage[1]}`,
      );
    } else if (/^K?TAP version \d+/i.test(text)) {
      this.#hasAny = true;
      this.#isKernels ||= text.startsWith("K");
    } else if (text.startsWith("#")) yield* this.#comment(text);
  }

  *#bail(line: string, number: number): Generator<FormatItem> {
    this.#hasAny = true;
    this.#isOver = true;
    yield* this.#flush();
    yield note(number, `Bail out! ${line.slice(9).trimStart()}`.trim());
  }

  *#comment(text: string): Generator<FormatItem> {
    if (OUTPUT_BEFORE.test(text)) {
      yield* this.#flush();
      this.#outputBefore = "";
    }
    const comment = text.slice(1).trimEnd();
    if (this.#outputBefore === undefined) {
      if (!/^# Subtest\b/i.test(text)) this.#addText(comment);
    } else if (this.#outputBefore.length < MAX_EXCERPT) this.#outputBefore += `${comment}\n`;
  }

  *end(): Generator<FormatItem> {
    yield* this.#flush();
    if (!this.#hasAny) throw new FormatError(NAME, "it has no version, no plan and no test point");
    const place = this.#script ?? "the file";
    const options = { isOver: this.#isOver, most: MAX_MISSING - this.#missing };
    this.#missing += yield* this.#plan.end(place, options, (at) => this.#nameOf(numbered(at)));
  }

  *#beginScript(script: string, skipped: string | undefined, number: number): Generator<FormatItem> {
    yield* this.#flush();
    if (this.#script !== undefined) yield* this.end();
    this.#hasAny = true;
    // Case names are cut to this length anyway, and the script is their prefix.
    this.#script = script.slice(0, MAX_CASE);
    this.#plan = new TapPlan();
    this.#subtest = "";
    if (skipped === undefined) return;
    this.#plan.planned = 0;
    yield note(number, `all of ${script} was skipped: ${skipped}`);
  }

  *#readPlanLine({ first, last, reason }: WrittenPlan, number: number): Generator<FormatItem> {
    this.#hasAny = true;
    // Comments after a trailing plan belong to the file, not to the last point.
    yield* this.#flush();
    if (this.#plan.planned !== undefined) yield note(number, "it has a second plan, which is ignored");
    else if (first <= last + 1) {
      this.#plan.first = first;
      this.#plan.planned = last;
    }
    if (this.#plan.planned === 0 && reason !== "") {
      yield note(number, `the whole file was skipped: ${reason.replace(/^skip\S*\s*/i, "")}`);
    }
  }

  *#indented(text: string, number: number, isAfterPoint: boolean): Generator<FormatItem> {
    const indent = /^\s+/.exec(text)![0];
    const line = text.trim();
    if (!this.#inBlock && line.startsWith("---") && (isAfterPoint || !/^ {4}|^\t/.test(text))) {
      this.#inBlock = true;
      this.#blockIndent = indent;
    } else if (this.#inBlock) {
      if (line === "..." && indent.length <= this.#blockIndent.length) this.#inBlock = false;
      else this.#block(text.startsWith(this.#blockIndent) ? text.slice(this.#blockIndent.length) : text);
    } else if (/^(?:not )?ok\b/.test(line)) {
      this.#inFailure = line.startsWith("not") && readPoint(line)?.outcome === "failed";
      if (this.#inFailure) this.#addSubtestText(`${this.#subtestOutputBefore}${line}`);
      this.#subtestOutputBefore = "";
    } else if (/^(?: {4})+Bail out!/i.test(text)) yield* this.#bail(line, number);
    else if (this.#isKernels && line.startsWith("# ")) {
      if (this.#subtestOutputBefore.length < MAX_EXCERPT) this.#subtestOutputBefore += `${line.slice(2)}\n`;
    } else if (this.#inFailure && !/^(?:---|\.\.\.$|# Subtest\b|1\.\.\d|$)/.test(line)) {
      this.#addSubtestText(text.replace(/^ {4}/, "").trimEnd());
    }
  }

  #addSubtestText(text: string): void {
    if (this.#inBraces) this.#addText(text);
    else if (this.#subtest.length < MAX_EXCERPT) this.#subtest += `${text}\n`;
  }

  #block(text: string): void {
    const duration = /^duration_ms: (\d+(?:\.\d+)?)\s*$/.exec(text)?.[1];
    if (duration !== undefined && this.#point !== undefined) {
      const durationMs = Number(duration);
      if (durationMs <= MAX_MS) this.#point.record.durationMs = durationMs;
    } else this.#addText(messageIn(text) ?? text);
  }

  #addText(text: string): void {
    if (this.#point?.isBad && this.#point.text.length < MAX_EXCERPT) this.#point.text += `${text}\n`;
  }

  #beginPoint({ number, name, outcome, isBad, reason, durationMs, opens }: TapPoint): void {
    this.#hasAny = true;
    const at = number ?? this.#plan.count + 1;
    this.#plan.mark(at);
    this.#inBraces = opens;
    const before = isBad ? `${this.#outputBefore ?? ""}${this.#subtest}` : "";
    this.#point = {
      record: {
        case: this.#nameOf(name === "" ? numbered(at) : name),
        outcome,
        ...(durationMs === undefined || durationMs > MAX_MS ? {} : { durationMs }),
      },
      isBad,
      text: `${reason}\n${before}`,
    };
    this.#subtest = "";
    this.#outputBefore = undefined;
    this.#inFailure = false;
    this.#isAfterPoint = true;
  }

  /** A point's case name, made unique by the script: scripts of one log may use the same names. */
  #nameOf(name: string): string {
    return caseName(this.#script === undefined ? name : `${this.#script}: ${name}`);
  }

  *#flush(): Generator<FormatItem> {
    if (this.#point === undefined) return;
    const { record, text } = this.#point;
    this.#point = undefined;
    const message = excerpt(text);
    if (message !== undefined) record.message = message;
    yield { kind: "result", record };
  }
}

/** The message in a YAML block that is one line of JSON, as Deno writes it. */
function messageIn(line: string): string | undefined {
  if (!line.startsWith('{"message":')) return undefined;
  try {
    const { message } = JSON.parse(line) as { message: unknown };
    return typeof message === "string" ? message : undefined;
  } catch {
    return undefined;
  }
}

function numbered(at: number): string {
  return `test ${at}`;
}

function note(line: number, text: string): FormatItem {
  return { kind: "note", place: `line ${line}`, text: text.slice(0, 500) };
}
