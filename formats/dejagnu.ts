import { MAX_EXCERPT, type ResultRecord } from "../schemas/record.ts";
import { dejagnuRecord, isBad } from "./dejagnu_record.ts";
import { FormatError, type FormatItem, type ResultFormat } from "./format.ts";
import { headText, type Line, readByLine } from "./lines.ts";
import { isTap } from "./tap.ts";
import { excerpt } from "./text.ts";

const NAME = "DejaGnu";
// A line may contain a CR, as the names of GCC's dg-regexp do.
const RESULT = /^(PASS|FAIL|XFAIL|XPASS|KFAIL|KPASS|UNSUPPORTED|UNRESOLVED|UNTESTED): */;
const HEADING = /^(?:\s+=== .+ ===|Test [Rr]un [Bb]y .+|Schedule of variations:|Running target .+)$/;
const OWN_ERROR = /^(?:ERROR: (?:tcl error |\(DejaGnu\) |comparison of )|WARNING: program timed out)/;
const NOISE =
  /^(?:\s*$|\s*=== |# of |Running |Test [Rr]un |Native conf|Target is|Host +is|Build is|Using |Schedule of|\(?DejaGnu\)? ver)/;
/** Results of Automake's `make check` that DejaGnu lacks; read only in files without DejaGnu's headings. */
const AUTOMAKE_RESULT = /^(SKIP|ERROR): (?=\S+(?: (?:\d+|-)(?: .*)?)?$)/;
/** Most notes of harness errors in one file. */
const MAX_NOTES = 20;
const MAX_VARIATIONS = 1000;
/** Longest heading in characters. A heading's target becomes part of case names. */
const MAX_HEADING = 1000;

/**
 * DejaGnu's `.sum` and `.log` (its manual, "Output files"; GCC, GDB and binutils write them), and lists of unexpected results
 * in the same form. A result is a line that begins with one of nine words. The rest of the line is the case's name, except a bug
 * number (`(PRMS …)`) and the text of an internal compiler error, which become the message. If the schedule has several
 * variations of the board, the variation is added to the name. ERROR and WARNING lines, and in a log all lines, belong to the
 * result after them. The output of Automake's `make check` and its test-suite.log are read too, with its words SKIP and ERROR; in
 * test-suite.log a test's output follows its underlined result.
 */
export const dejagnu: ResultFormat = {
  name: "dejagnu",
  summary: "DejaGnu .sum and .log",
  recognises(fileName, head) {
    const text = headText(head);
    if (/^\s*[<{[]/.test(text)) return false;
    const lines = text.split(/\r?\n/);
    if (/^Test run by /im.test(text)) return true;
    // A TAP file may contain lines that look like headings.
    if (/\.tap$/i.test(fileName) || /^\s*(?:TAP version|1\.\.|(?:not )?ok) ?\d/i.test(text)) return false;
    if (lines.some(isHeading)) return true;
    if (isTap(text)) return false;
    // A `.sum` may contain NULs from a program under test; any other file with NULs is not DejaGnu's.
    return /\.sum(?:\.\w+)?$/i.test(fileName) && !/(?:^|\/)go\.sum$/.test(fileName) ||
      !text.includes("\0") && lines.some((line) => RESULT.test(line) || OWN_ERROR.test(line));
  },
  parse: (input) => readByLine(input, new Reader()),
};

class Reader {
  #variations: string[] = [];
  #inSchedule = false;
  #target = "";
  /** The first target of a list, which has no schedule; it is not added to names. */
  #firstTarget = "";
  #context = "";
  #notes = 0;
  #hasAny = false;
  #hasHeading = false;
  #hasSummary = false;
  #isList = false;
  #last = 0;
  /** The last result in a file without DejaGnu's headings: its output may follow, as Automake writes it. */
  #pending: ResultRecord | undefined;
  #section: string | undefined;
  /** The line of the last result. */
  #resultAt = 0;

  *read({ text, number }: Line): Generator<FormatItem> {
    this.#last = number;
    const [prefix, word] = RESULT.exec(text) ?? (this.#hasHeading ? [] : AUTOMAKE_RESULT.exec(text) ?? []);
    if (prefix !== undefined) {
      this.#hasAny = true;
      this.#hasSummary = false;
      this.#inSchedule = false;
      yield* this.#flush();
      const record = this.#record(word!, text.slice(prefix.length));
      if (this.#hasHeading) yield { kind: "result", record };
      else this.#pending = record;
      this.#context = "";
      this.#resultAt = number;
      return;
    }
    if (this.#section !== undefined) {
      if (this.#section.length < MAX_EXCERPT) this.#section += `${text}\n`;
      return;
    }
    if (this.#pending !== undefined && this.#resultAt === number - 1 && /^={3,}$/.test(text)) {
      delete this.#pending.message;
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
    // The output before belongs to another script.
    if (/^Running \S+\.exp\b/.test(text)) this.#context = "";
    if (!NOISE.test(text)) this.#addContext(text);
  }

  #addContext(text: string): void {
    this.#context += `${text.slice(-MAX_EXCERPT)}\n`;
    // Cutting at each short line would be slow.
    if (this.#context.length > 3 * MAX_EXCERPT) this.#context = this.#context.slice(-MAX_EXCERPT);
  }

  *#flush(): Generator<FormatItem> {
    const record = this.#pending;
    if (record === undefined) return;
    const message = isBad(record) ? excerpt(this.#section ?? "") : undefined;
    if (message !== undefined) record.message = message;
    this.#pending = undefined;
    this.#section = undefined;
    yield { kind: "result", record };
  }

  *end(): Generator<FormatItem> {
    yield* this.#flush();
    if (!this.#hasAny && !this.#hasHeading) {
      throw new FormatError(NAME, "it has neither results nor a DejaGnu heading");
    }
    if (this.#notes > MAX_NOTES) {
      yield { kind: "note", place: "the file", text: `${this.#notes} ERROR lines in total` };
    }
    if (this.#hasHeading && !this.#hasSummary && !this.#isList) {
      yield {
        kind: "note",
        place: `line ${this.#last}`,
        text: "it ends without DejaGnu's summary: the run was interrupted or the file is truncated",
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
    if (/^\s+=== .* Summary\b|^# of /.test(text)) this.#hasSummary = true;
    // A list of unexpected results has headings but no summary.
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

/** The target in a heading: `Running target unix`, `=== gcc: Unexpected fails for unix ===`. */
function targetIn(heading: string): string | undefined {
  if (heading.startsWith("Running target ")) return heading.slice(15).trimEnd();
  const at = heading.indexOf(": Unexpected ");
  if (at < 0) return undefined;
  const text = heading.trimEnd().slice(0, -3).trimEnd();
  const before = text.lastIndexOf(" for ");
  return before > at + 12 ? text.slice(before + 5) : undefined;
}
