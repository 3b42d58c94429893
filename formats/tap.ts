import { MAX_CASE, MAX_EXCERPT, type ResultRecord } from "../schemas/record.ts";
import { FormatError, type FormatItem, type ResultFormat } from "./format.ts";
import { headText, type Line, readByLine } from "./lines.ts";
import { readPlan, TapPlan, type WrittenPlan } from "./tap_plan.ts";
import { readPoint, type TapPoint } from "./tap_point.ts";
import { caseName, excerpt } from "./text.ts";

const NAME = "TAP";
const BAIL = /^Bail out!/i;
/** What `prove` says of a script before its points, and of a good one behind them. */
const SCRIPT = /^(?:\[\d\d:\d\d:\d\d\] )?((?=\S*[./])\S+) \.\.+ ?(?:skipped: (.*))?$/;
const MAX_MS = 1e12;
/** Points of one file that are told as missing; a plan may promise any number, and a log of `prove` hold any number of plans. */
const MAX_MISSING = 1_000_000;
const SCRIPT_OK = /^ok(?: +\d+ ms\b.*)?$/;
/** With these the kernel's selftests begin what they print of a test, before its point. */
const AHEAD = /^# (?:selftests: | RUN {2,}\S)/;
const PROVE_SAYS = /^(?:(Dubious, test returned .*)|Bailout called\. +Further testing stopped: (.*))$/;

/** Whether a text looks like TAP: a version, a plan, or a test point at the beginning of a line. */
export function isTap(text: string): boolean {
  return /^(?:[Tt][Aa][Pp] [Vv]ersion \d+|1\.\.\d+\s*(?:#.*)?$|(?:not )?ok(?:[ \t]+(?:\d+(?:\s|$)|-)|[ \t]*$))/m
    .test(text);
}

/**
 * The Test Anything Protocol, versions 12 to 14 (testanything.org). Top-level points are the cases; a subtest counts through
 * its parent's point, and its failures are told in the parent's message, like a YAML block or the comments behind a
 * point. `not ok # TODO` is xfailed, `ok # TODO` xpassed, `# SKIP` skipped. Points that the plan promises and the file
 * lacks are `not_run`, marked missing. What follows `Bail out!` does not count. In a log of `prove -v` each script has a
 * plan of its own and is the beginning of its points' names.
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
  /** The script whose points these are, in a log of `prove`. */
  #script: string | undefined;
  /** The last point: what follows it may tell more of it. */
  #point: Point | undefined;
  /** Failures of a subtest whose point is still to come. */
  #subtest = "";
  /** Whether lines of the subtest tell of a failure of it. */
  #inFailure = false;
  #inBlock = false;
  #inBraces = false;
  /** How far a block is indented that stands right behind the point. */
  #blockIndent = "";
  /** Whether the line before is the point itself. */
  #isRightBehind = false;
  /** What was printed of the test whose point is still to come, where the producer does it in this order. */
  #ahead: string | undefined;
  #isKernels = false;
  /** Points told as missing, of all scripts. */
  #missing = 0;
  /** What the kernel's tests say of a subtest's point that is still to come. */
  #aheadInside = "";

  *read({ text, number }: Line): Generator<FormatItem> {
    const script = SCRIPT.exec(text);
    if (script !== null) yield* this.#begins(script[1]!, script[2], number);
    if (this.#isOver || script !== null) return;
    const isRightBehind = this.#isRightBehind;
    this.#isRightBehind = false;
    if (/^\s/.test(text)) return yield* this.#indented(text, number, isRightBehind);
    this.#inBlock = false;
    if (text.startsWith("}")) this.#inBraces = false;
    else if (this.#point !== undefined && text.trimEnd() === "{") this.#inBraces = true;
    const point = readPoint(text);
    const plan = readPlan(text);
    const said = this.#script === undefined ? null : PROVE_SAYS.exec(text);
    if (point !== undefined) {
      if (this.#script !== undefined && this.#plan.isComplete && SCRIPT_OK.test(text.trimEnd())) return;
      yield* this.#flush();
      this.#begin(point);
    } else if (plan !== undefined) {
      yield* this.#planned(plan, number);
    } else if (BAIL.test(text)) {
      yield* this.#bail(text, number);
    } else if (said !== null) {
      yield* this.#flush();
      yield note(
        number,
        said[1] === undefined ? `Bail out! ${said[2]!.trimStart()}` : `${this.#script}: ${said[1]}`,
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
    if (AHEAD.test(text)) {
      yield* this.#flush();
      this.#ahead = "";
    }
    const told = text.slice(1).trimEnd();
    if (this.#ahead === undefined) {
      if (!/^# Subtest\b/i.test(text)) this.#say(told);
    } else if (this.#ahead.length < MAX_EXCERPT) this.#ahead += `${told}\n`;
  }

  *end(): Generator<FormatItem> {
    yield* this.#flush();
    if (!this.#hasAny) throw new FormatError(NAME, "it has no version, no plan and no test point");
    const place = this.#script ?? "the file";
    const options = { isOver: this.#isOver, most: MAX_MISSING - this.#missing };
    this.#missing += yield* this.#plan.end(place, options, (at) => this.#nameOf(numbered(at)));
  }

  *#begins(script: string, skipped: string | undefined, number: number): Generator<FormatItem> {
    yield* this.#flush();
    if (this.#script !== undefined) yield* this.end();
    this.#hasAny = true;
    // A name is cut to this anyway, and this one goes before each of its points'.
    this.#script = script.slice(0, MAX_CASE);
    this.#plan = new TapPlan();
    this.#subtest = "";
    if (skipped === undefined) return;
    this.#plan.planned = 0;
    yield note(number, `all of ${script} was skipped: ${skipped}`);
  }

  *#planned({ first, last, reason }: WrittenPlan, number: number): Generator<FormatItem> {
    this.#hasAny = true;
    // Behind a plan that comes last, comments are of the file.
    yield* this.#flush();
    if (this.#plan.planned !== undefined) yield note(number, "it has a second plan, which is not followed");
    else if (first <= last + 1) {
      this.#plan.first = first;
      this.#plan.planned = last;
    }
    if (this.#plan.planned === 0 && reason !== "") {
      yield note(number, `all of it was skipped: ${reason.replace(/^skip\S*\s*/i, "")}`);
    }
  }

  *#indented(text: string, number: number, isRightBehind: boolean): Generator<FormatItem> {
    const indent = /^\s+/.exec(text)![0];
    const line = text.trim();
    if (!this.#inBlock && line.startsWith("---") && (isRightBehind || !/^ {4}|^\t/.test(text))) {
      this.#inBlock = true;
      this.#blockIndent = indent;
    } else if (this.#inBlock) {
      if (line === "..." && indent.length <= this.#blockIndent.length) this.#inBlock = false;
      else this.#block(text.startsWith(this.#blockIndent) ? text.slice(this.#blockIndent.length) : text);
    } else if (/^(?:not )?ok\b/.test(line)) {
      this.#inFailure = line.startsWith("not") && readPoint(line)?.outcome === "failed";
      if (this.#inFailure) this.#sayInside(`${this.#aheadInside}${line}`);
      this.#aheadInside = "";
    } else if (/^(?: {4})+Bail out!/i.test(text)) yield* this.#bail(line, number);
    else if (this.#isKernels && line.startsWith("# ")) {
      if (this.#aheadInside.length < MAX_EXCERPT) this.#aheadInside += `${line.slice(2)}\n`;
    } else if (this.#inFailure && !/^(?:---|\.\.\.$|# Subtest\b|1\.\.\d|$)/.test(line)) {
      this.#sayInside(text.replace(/^ {4}/, "").trimEnd());
    }
  }

  #sayInside(text: string): void {
    if (this.#inBraces) this.#say(text);
    else if (this.#subtest.length < MAX_EXCERPT) this.#subtest += `${text}\n`;
  }

  #block(text: string): void {
    const duration = /^duration_ms: (\d+(?:\.\d+)?)\s*$/.exec(text)?.[1];
    if (duration !== undefined && this.#point !== undefined) {
      const durationMs = Number(duration);
      if (durationMs <= MAX_MS) this.#point.record.durationMs = durationMs;
    } else this.#say(messageIn(text) ?? text);
  }

  #say(text: string): void {
    if (this.#point?.isBad && this.#point.text.length < MAX_EXCERPT) this.#point.text += `${text}\n`;
  }

  #begin({ number, name, outcome, isBad, reason, durationMs, opens }: TapPoint): void {
    this.#hasAny = true;
    const at = number ?? this.#plan.count + 1;
    this.#plan.mark(at);
    this.#inBraces = opens;
    const before = isBad ? `${this.#ahead ?? ""}${this.#subtest}` : "";
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
    this.#ahead = undefined;
    this.#inFailure = false;
    this.#isRightBehind = true;
  }

  /** Scripts of one log may name their points alike. */
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

/** The message of a block that is one line of JSON, as Deno writes it. */
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
