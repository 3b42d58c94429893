import { MAX_EXCERPT, type ResultRecord } from "../schemas/record.ts";
import { dejagnuRecord, isBad } from "./dejagnu_record.ts";
import { FormatError, type FormatItem, type ResultFormat } from "./format.ts";
import { headText, type Line, readByLine } from "./lines.ts";
import { isTap } from "./tap.ts";
import { excerpt } from "./text.ts";

const NAME = "DejaGnu";
// A line may hold a CR of its own, which GCC's dg-regexp names do.
const RESULT = /^(PASS|FAIL|XFAIL|XPASS|KFAIL|KPASS|UNSUPPORTED|UNRESOLVED|UNTESTED): */;
const HEADING = /^(?:\s+=== .+ ===|Test [Rr]un [Bb]y .+|Schedule of variations:|Running target .+)$/;
const OWN_ERROR = /^(?:ERROR: (?:tcl error |\(DejaGnu\) |comparison of )|WARNING: program timed out)/;
const NOISE =
  /^(?:\s*$|\s*=== |# of |Running |Test [Rr]un |Native conf|Target is|Host +is|Build is|Using |Schedule of|\(?DejaGnu\)? ver)/;
/** What Automake's `make check` says beside DejaGnu's words, where no heading is DejaGnu's. */
const AUTOMAKES = /^(SKIP|ERROR): (?=\S+(?: (?:\d+|-)(?: .*)?)?$)/;
/** Notes for errors of the harness itself, of one file. */
const MAX_NOTES = 20;
const MAX_VARIATIONS = 1000;
/** Characters of a heading; what it names goes into names. */
const MAX_HEADING = 1000;

/**
 * DejaGnu's `.sum` and `.log` (its manual, "Output files"; GCC, GDB and binutils write them), and lists of unexpected
 * results in the same lines. A result is a line that begins with one of nine words; the rest of it is the case's name, less
 * a bug's number (`(PRMS …)`) and what an internal compiler error said, which become the message. Where the schedule
 * has several variations of the board, the variation is added to the name. In between, ERROR and WARNING lines, and in a
 * log all lines, tell of the result after them. What Automake's `make check` prints, and its test-suite.log, are read alike, with
 * its words SKIP and ERROR; in the latter a test's output stands below its underlined result.
 */
export const dejagnu: ResultFormat = {
  name: "dejagnu",
  summary: "DejaGnu .sum and .log",
  recognises(fileName, head) {
    const text = headText(head);
    if (/^\s*[<{[]/.test(text)) return false;
    const lines = text.split(/\r?\n/);
    if (/^Test run by /im.test(text)) return true;
    // A TAP file may hold what looks like a heading.
    if (/\.tap$/i.test(fileName) || /^\s*(?:TAP version|1\.\.|(?:not )?ok) ?\d/i.test(text)) return false;
    if (lines.some(isHeading)) return true;
    if (isTap(text)) return false;
    // Any log may warn; what a program under test wrote into one of DejaGnu's may hold NULs.
    return /\.sum(?:\.\w+)?$/i.test(fileName) && !/(?:^|\/)go\.sum$/.test(fileName) ||
      !text.includes("\0") && lines.some((line) => RESULT.test(line) || OWN_ERROR.test(line));
  },
  parse: (input) => readByLine(input, new Reader()),
};

class Reader {
  #variations: string[] = [];
  #inSchedule = false;
  #target = "";
  /** In a list, which has no schedule, the first target adds nothing to a name. */
  #firstTarget = "";
  #context = "";
  #notes = 0;
  #hasAny = false;
  #hasHeading = false;
  #isSummed = false;
  #isList = false;
  #last = 0;
  /** Where no heading is DejaGnu's, the last result: Automake may tell of it below. */
  #held: ResultRecord | undefined;
  #section: string | undefined;
  /** The line of the last result. */
  #resultAt = 0;

  *read({ text, number }: Line): Generator<FormatItem> {
    this.#last = number;
    const [told, word] = RESULT.exec(text) ?? (this.#hasHeading ? [] : AUTOMAKES.exec(text) ?? []);
    if (told !== undefined) {
      this.#hasAny = true;
      this.#isSummed = false;
      this.#inSchedule = false;
      yield* this.#flush();
      const record = this.#record(word!, text.slice(told.length));
      if (this.#hasHeading) yield { kind: "result", record };
      else this.#held = record;
      this.#context = "";
      this.#resultAt = number;
      return;
    }
    if (this.#section !== undefined) {
      if (this.#section.length < MAX_EXCERPT) this.#section += `${text}\n`;
      return;
    }
    if (this.#held !== undefined && this.#resultAt === number - 1 && /^={3,}$/.test(text)) {
      delete this.#held.message;
      this.#section = "";
      return;
    }
    if (text.length <= MAX_HEADING && isHeading(text)) return this.#heading(text);
    if (this.#inSchedule && this.#variation(text)) return;
    const error = /^ERROR: (.*)$/s.exec(text)?.[1];
    if (error !== undefined) {
      this.#hasAny = true;
      if (++this.#notes <= MAX_NOTES) {
        yield { kind: "note", place: `line ${number}`, text: excerpt(error.slice(0, 500)) ?? "ERROR" };
      }
    }
    // What was said before belongs to another script.
    if (/^Running \S+\.exp\b/.test(text)) this.#context = "";
    if (!NOISE.test(text)) this.#say(text);
  }

  #say(text: string): void {
    this.#context += `${text.slice(-MAX_EXCERPT)}\n`;
    // Not cut with each line, which may be short.
    if (this.#context.length > 3 * MAX_EXCERPT) this.#context = this.#context.slice(-MAX_EXCERPT);
  }

  *#flush(): Generator<FormatItem> {
    const record = this.#held;
    if (record === undefined) return;
    const message = isBad(record) ? excerpt(this.#section ?? "") : undefined;
    if (message !== undefined) record.message = message;
    this.#held = undefined;
    this.#section = undefined;
    yield { kind: "result", record };
  }

  *end(): Generator<FormatItem> {
    yield* this.#flush();
    if (!this.#hasAny && !this.#hasHeading) {
      throw new FormatError(NAME, "it has neither results nor a heading of DejaGnu's");
    }
    if (this.#notes > MAX_NOTES) {
      yield { kind: "note", place: "the file", text: `${this.#notes} ERROR lines in all` };
    }
    if (this.#hasHeading && !this.#isSummed && !this.#isList) {
      yield {
        kind: "note",
        place: `line ${this.#last}`,
        text: "it ends without DejaGnu's summary: the run was interrupted, or the file cut",
      };
    }
  }

  #heading(text: string): void {
    this.#hasHeading = true;
    this.#context = "";
    this.#inSchedule = text.startsWith("Schedule");
    if (this.#inSchedule) {
      this.#variations = [];
      this.#firstTarget = "";
    }
    if (/^\s+=== .* Summary\b|^# of /.test(text)) this.#isSummed = true;
    // A list of unexpected results has headings, and no summary to wait for.
    if (/: Unexpected /.test(text)) this.#isList = true;
    const target = targetIn(text);
    if (target === undefined) return;
    this.#target = target;
    this.#firstTarget ||= target;
  }

  #variation(text: string): boolean {
    const name = text.trim();
    const isOne = /^\s/.test(text) && name !== "";
    if (!isOne) this.#inSchedule = false;
    else if (this.#variations.length < MAX_VARIATIONS) this.#variations.push(name);
    return isOne;
  }

  #record(word: string, rest: string): ResultRecord {
    const isOneOfMore = this.#variations.length > 1 && this.#target !== "" ||
      this.#target !== this.#firstTarget;
    return dejagnuRecord(word, rest, {
      context: this.#context.slice(-MAX_EXCERPT),
      target: isOneOfMore ? this.#target : "",
    });
  }
}

function isHeading(line: string): boolean {
  const text = line.trimEnd();
  return HEADING.test(text) || text.startsWith("# of ") && /\t\d+$/.test(text);
}

/** The target that a heading names: `Running target unix`, `=== gcc: Unexpected fails for unix ===`. */
function targetIn(heading: string): string | undefined {
  if (heading.startsWith("Running target ")) return heading.slice(15).trimEnd();
  const at = heading.indexOf(": Unexpected ");
  if (at < 0) return undefined;
  const text = heading.trimEnd().slice(0, -3).trimEnd();
  const before = text.lastIndexOf(" for ");
  return before > at + 12 ? text.slice(before + 5) : undefined;
}
