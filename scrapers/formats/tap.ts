import { MAX_EXCERPT, type ResultRecord } from "../../schemas/record.ts";
import { FormatError, type FormatItem, type ResultFormat } from "./format.ts";
import { headText, type Line, readByLine } from "./lines.ts";
import { TapPlan } from "./tap_plan.ts";
import { caseName, excerpt } from "./text.ts";

const NAME = "TAP";
const POINT = /^(not )?ok\b(?:[ \t]+(\d+)(?=\s|$))?[ \t]*(?:-(?=\s|$))?(.*)$/s;
/** `1..4`; some producers begin later. Perl's Test.pm adds the numbers of points that are expected to fail. */
const PLAN = /^([1-9]\d*)\.\.(\d+)(?:\s+todo[\s\d]*;?)?\s*(?:#\s*(.*))?$/s;
const DIRECTIVE = /^#\s*(todo\b|skip\S*)\s*(.*)$/is;
const BAIL = /^Bail out!\s*(.*)$/is;
/** What `prove` says of a script before its points, and of a good one behind them. */
const SCRIPT = /^(?:\[\d\d:\d\d:\d\d\] )?((?=\S*[./])\S+) \.\.+ ?(?:skipped: (.*))?$/;
const SCRIPT_OK = /^ok(?: +\d+ ms\b.*)?\s*$/;
const PROVE_SAYS = /^(?:(Dubious, test returned .*)|Bailout called\. +Further testing stopped: +(.*))$/;

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

  *read({ text, number }: Line): Generator<FormatItem> {
    const script = SCRIPT.exec(text);
    if (script !== null) yield* this.#begins(script[1]!, script[2], number);
    if (this.#isOver || script !== null) return;
    if (/^\s/.test(text)) return this.#indented(text);
    this.#inBlock = false;
    if (text.startsWith("}")) this.#inBraces = false;
    const point = POINT.exec(text);
    const plan = PLAN.exec(text);
    const bail = BAIL.exec(text);
    const said = this.#script === undefined ? null : PROVE_SAYS.exec(text);
    if (point !== null) {
      if (this.#script !== undefined && this.#plan.isComplete && SCRIPT_OK.test(text)) return;
      yield* this.#flush();
      this.#begin(point);
    } else if (plan !== null) {
      yield* this.#planned({ first: Number(plan[1]), last: Number(plan[2]) }, plan[3], number);
    } else if (bail !== null) {
      this.#hasAny = true;
      this.#isOver = true;
      yield* this.#flush();
      yield note(number, `Bail out! ${bail[1]}`.trim());
    } else if (said !== null) {
      yield* this.#flush();
      yield note(number, said[1] === undefined ? `Bail out! ${said[2]}` : `${this.#script}: ${said[1]}`);
    } else if (/^TAP version \d+/i.test(text)) this.#hasAny = true;
    else if (text.startsWith("#") && !/^# Subtest\b/i.test(text)) this.#say(text.slice(1).trimEnd());
  }

  *end(): Generator<FormatItem> {
    yield* this.#flush();
    if (!this.#hasAny) throw new FormatError(NAME, "it has no version, no plan and no test point");
    yield* this.#plan.end(this.#script ?? "the file", this.#isOver, (at) => this.#nameOf(numbered(at)));
  }

  *#begins(script: string, skipped: string | undefined, number: number): Generator<FormatItem> {
    yield* this.#flush();
    if (this.#script !== undefined) yield* this.end();
    this.#hasAny = true;
    this.#script = script;
    this.#plan = new TapPlan();
    this.#subtest = "";
    if (skipped === undefined) return;
    this.#plan.planned = 0;
    yield note(number, `all of ${script} was skipped: ${skipped}`);
  }

  *#planned(
    { first, last }: { first: number; last: number },
    reason: string | undefined,
    number: number,
  ): Generator<FormatItem> {
    this.#hasAny = true;
    // Behind a plan that comes last, comments are of the file.
    yield* this.#flush();
    if (this.#plan.planned !== undefined) yield note(number, "it has a second plan, which is not followed");
    else if (first <= last + 1) {
      this.#plan.first = first;
      this.#plan.planned = last;
    }
    if (this.#plan.planned === 0 && reason) {
      yield note(number, `all of it was skipped: ${reason.replace(/^skip\S*\s*/i, "")}`);
    }
  }

  #indented(text: string): void {
    if (/^\s+---/.test(text) && !/^ {4}|^\t/.test(text)) this.#inBlock = true;
    else if (this.#inBlock && /^\s+\.\.\.\s*$/.test(text)) this.#inBlock = false;
    else if (this.#inBlock) this.#block(text.replace(/^ {2}/, ""));
    else if (/^\s+(?:not )?ok\b/.test(text)) {
      this.#inFailure = /^\s+not ok\b/.test(text) && directiveOf(text) === undefined;
      if (this.#inFailure) this.#sayInside(text.trim());
    } else if (this.#inFailure && !/^\s*(?:---|\.\.\.|# Subtest\b.*|1\.\.\d+.*)?\s*$/.test(text)) {
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
      if (durationMs <= 1e12) this.#point.record.durationMs = durationMs;
    } else this.#say(messageIn(text) ?? text);
  }

  #say(text: string): void {
    if (this.#point?.isBad && this.#point.text.length < MAX_EXCERPT) this.#point.text += `${text}\n`;
  }

  #begin([, not, number, rest]: RegExpExecArray): void {
    this.#hasAny = true;
    const at = number === undefined ? this.#plan.count + 1 : Number(number);
    this.#plan.mark(at);
    const { kind, reason, text } = directiveOf(rest!) ?? { text: rest! };
    let name = text.trim();
    this.#inBraces = /(?:^|\s)\{$/.test(name) || /(?:^|\s)\{$/.test(reason ?? "");
    name = name.replace(/(?:^|\s)\{$/, "").replace(/\\([\\#])/g, "$1").trim();
    const isTodo = /^todo/i.test(kind ?? "");
    const isSkip = kind !== undefined && !isTodo;
    const outcome = isSkip
      ? "skipped"
      : isTodo
      ? not === undefined ? "xpassed" : "xfailed"
      : not === undefined
      ? "passed"
      : "failed";
    this.#point = {
      record: { case: this.#nameOf(name === "" ? numbered(at) : name), outcome },
      isBad: not !== undefined && !isSkip || outcome === "xpassed",
      text: `${(reason ?? "").replace(/(?:^|\s)\{$/, "")}\n${not === undefined ? "" : this.#subtest}`,
    };
    this.#subtest = "";
    this.#inFailure = false;
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

/** What a point's first `#` says, which follows white space and so is not escaped; `text` is what stands before it. */
function directiveOf(rest: string): { kind: string; reason: string; text: string } | undefined {
  const at = rest.search(/(?<!\S)#/);
  const [, kind, reason] = at < 0 ? [] : DIRECTIVE.exec(rest.slice(at)) ?? [];
  return kind === undefined ? undefined : { kind, reason: reason!, text: rest.slice(0, at) };
}

function numbered(at: number): string {
  return `test ${at}`;
}

function note(line: number, text: string): FormatItem {
  return { kind: "note", place: `line ${line}`, text: text.slice(0, 500) };
}
