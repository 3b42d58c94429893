import { MAX_EXCERPT, type ResultRecord } from "../../schemas/record.ts";
import { FormatError, type FormatItem, type ResultFormat } from "./format.ts";
import { headText, type Line, readByLine } from "./lines.ts";
import { caseName, excerpt } from "./text.ts";

const NAME = "TAP";
const POINT = /^(not )?ok\b(?:[ \t]+(\d+)(?=\s|$))?[ \t]*(?:-(?=\s|$))?(.*)$/s;
/** `1..4`; some producers begin later. Perl's Test.pm adds the numbers of points that are expected to fail. */
const PLAN = /^([1-9]\d*)\.\.(\d+)(?:\s+todo[\s\d]*;?)?\s*(?:#\s*(.*))?$/s;
const DIRECTIVE = /^#\s*(todo\b|skip\S*)\s*(.*)$/is;
const BAIL = /^Bail out!\s*(.*)$/is;
/** Points whose absence is told; a plan may promise any number. */
const MAX_PLANNED = 1_000_000;

/** Whether a text looks like TAP: a version, a plan, or a test point at the beginning of a line. */
export function isTap(text: string): boolean {
  return /^(?:[Tt][Aa][Pp] [Vv]ersion \d+|1\.\.\d+\s*(?:#.*)?$|(?:not )?ok(?:[ \t]+(?:\d+(?:\s|$)|-)|[ \t]*$))/m
    .test(text);
}

/**
 * The Test Anything Protocol, versions 12 to 14 (testanything.org). Top-level points are the cases; a subtest counts through
 * its parent's point, and its failures are told in the parent's message, like a YAML block or the comments behind a
 * point. `not ok # TODO` is xfailed, `ok # TODO` xpassed, `# SKIP` skipped. Points that the plan promises and the file
 * lacks are `not_run`, marked missing. What follows `Bail out!` does not count.
 */
export const tap: ResultFormat = {
  name: "tap",
  summary: "TAP",
  recognises(fileName, head) {
    const text = headText(head);
    if (/^\s*[<{[]/.test(text)) return false;
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
  #first = 1;
  /** The last number that the plan tells. */
  #plan: number | undefined;
  #count = 0;
  #beyond = 0;
  #seen = new Uint8Array(1024);
  /** The last point: what follows it may tell more of it. */
  #point: Point | undefined;
  /** Failures of a subtest whose point is still to come. */
  #subtest = "";
  #inBlock = false;
  #inBraces = false;

  *read({ text, number }: Line): Generator<FormatItem> {
    if (this.#isOver) return;
    if (/^\s/.test(text)) return this.#indented(text);
    this.#inBlock = false;
    if (text.startsWith("}")) this.#inBraces = false;
    const point = POINT.exec(text);
    const plan = PLAN.exec(text);
    const bail = BAIL.exec(text);
    if (point !== null) {
      yield* this.#flush();
      this.#begin(point);
    } else if (plan !== null) {
      this.#hasAny = true;
      if (this.#plan !== undefined) yield note(number, "it has a second plan, which is not followed");
      else if (Number(plan[1]) <= Number(plan[2]) + 1) {
        this.#first = Number(plan[1]);
        this.#plan = Number(plan[2]);
      }
      if (this.#plan === 0 && plan[3]) {
        yield note(number, `all of it was skipped: ${plan[3].replace(/^skip\S*\s*/i, "")}`);
      }
    } else if (bail !== null) {
      this.#hasAny = true;
      this.#isOver = true;
      yield* this.#flush();
      yield note(number, `Bail out! ${bail[1]}`.trim());
    } else if (/^TAP version \d+/i.test(text)) this.#hasAny = true;
    else if (text.startsWith("#") && !/^# Subtest\b/i.test(text)) this.#say(text.slice(1).trimEnd());
  }

  *end(): Generator<FormatItem> {
    yield* this.#flush();
    if (!this.#hasAny) throw new FormatError(NAME, "it has no version, no plan and no test point");
    if (this.#plan === undefined) {
      if (!this.#isOver) {
        yield { kind: "note", place: "the file", text: "it has no plan: it may have been cut" };
      }
      return;
    }
    const planned = this.#plan - this.#first + 1;
    if (this.#beyond > 0 || this.#count > planned) {
      yield { kind: "note", place: "the file", text: `${this.#count} points, where its plan has ${planned}` };
    }
    for (let at = this.#first; at <= Math.min(this.#plan, MAX_PLANNED); at++) {
      if (this.#seen[at] !== 1) {
        yield { kind: "result", record: { case: numbered(at), outcome: "not_run" }, isMissing: true };
      }
    }
    if (this.#plan > MAX_PLANNED) {
      yield {
        kind: "note",
        place: "the file",
        text: `its plan of ${this.#plan} points is followed to ${MAX_PLANNED} only`,
      };
    }
  }

  #indented(text: string): void {
    if (/^\s+---/.test(text) && !/^ {4}|^\t/.test(text)) this.#inBlock = true;
    else if (this.#inBlock && /^\s+\.\.\.\s*$/.test(text)) this.#inBlock = false;
    else if (this.#inBlock) this.#say(text.replace(/^ {2}/, ""));
    else if (/^\s+not ok\b/.test(text) && directiveOf(text) === undefined) {
      if (this.#inBraces) this.#say(text.trim());
      else if (this.#subtest.length < MAX_EXCERPT) this.#subtest += `${text.trim()}\n`;
    }
  }

  #say(text: string): void {
    if (this.#point?.isBad && this.#point.text.length < MAX_EXCERPT) this.#point.text += `${text}\n`;
  }

  #begin([, not, number, rest]: RegExpExecArray): void {
    this.#hasAny = true;
    const at = number === undefined ? this.#count + 1 : Number(number);
    this.#count++;
    this.#mark(at);
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
      record: { case: name === "" ? numbered(at) : caseName(name), outcome },
      isBad: not !== undefined && !isSkip || outcome === "xpassed",
      text: `${(reason ?? "").replace(/(?:^|\s)\{$/, "")}\n${not === undefined ? "" : this.#subtest}`,
    };
    this.#subtest = "";
  }

  #mark(at: number): void {
    if (this.#plan !== undefined && at > this.#plan) this.#beyond++;
    if (at > MAX_PLANNED) return;
    if (at >= this.#seen.length) {
      const grown = new Uint8Array(Math.min(MAX_PLANNED + 1, Math.max(at + 1, this.#seen.length * 2)));
      grown.set(this.#seen);
      this.#seen = grown;
    }
    this.#seen[at] = 1;
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
