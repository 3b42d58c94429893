import type { Outcome } from "../schemas/outcome.ts";
import { MAX_EXCERPT, MAX_SAMPLES, type ResultRecord } from "../schemas/record.ts";
import { type FormatItem, type ResultFormat } from "./format.ts";
import { headText, type Line, readByLine } from "./lines.ts";
import { isPlainCode, outcomeOfCode } from "./lit.ts";
import { numberSample, sampleOf } from "./sample.ts";
import { caseName, excerpt, wordOf } from "./text.ts";

const BEGIN = /^-- Testing: (\d+) (?:of \d+ )?tests?\b/;
const RESULT = /^([A-Z]{4,12}): (\S.*) \((\d{1,9}) of (\d{1,9})\)$/;
const SECTION = /^\*{10,} TEST '.*' (FAILED|RESULTS) \*{10,}$/;
const METRIC = /^([\w.-]{1,200}): (\S.*)$/;
const END = /^\*{10,}$/;
/** Longest line that is matched against the patterns. */
const MAX_LINE = 2000;
const GOOD: Outcome[] = ["passed", "xfailed", "skipped", "unsupported"];

/** Whether lit prints such a line when a test ends. */
function isLitLine(line: string): boolean {
  return line.length <= MAX_LINE && RESULT.test(line);
}

/**
 * The output of LLVM's `lit -v` (lit/display.py): `<code>: <name> (<nth> of <all>)` is a case; the section between stars below it
 * is its message or its metrics. Without -v lit prints only bad results, which adds a note.
 */
export const litLog: ResultFormat = {
  name: "lit log",
  summary: "lit's log",
  recognises(_fileName, head) {
    return headText(head).split(/\r?\n/).some((line) =>
      BEGIN.test(line.slice(0, MAX_LINE)) || isLitLine(line)
    );
  },
  parse: (input) => readByLine(input, new Reader()),
};

class Reader {
  #last: { record: ResultRecord; text: string } | undefined;
  /** Kind of the section that the lines belong to, up to the next line of stars. */
  #section: string | undefined;
  #read = 0;
  #planned = 0;

  *read({ text, number }: Line): Generator<FormatItem> {
    const [, code, name, , all] = text.length > MAX_LINE ? [] : RESULT.exec(text) ?? [];
    // A test's output may contain such lines, as that of lit's own tests does.
    if (code !== undefined && (this.#section === undefined || Number(all) === this.#planned)) {
      yield* this.#flush();
      this.#section = undefined;
      this.#read++;
      this.#planned = Number(all);
      this.#last = { record: recordOf(code, name!), text: "" };
    } else if (this.#section !== undefined) {
      if (END.test(text.slice(0, MAX_LINE))) this.#section = undefined;
      else if (this.#section === "FAILED") this.#addText(text);
      else this.#measure(text.slice(0, MAX_LINE));
    } else if (text.startsWith("**")) {
      this.#section = SECTION.exec(text.slice(0, MAX_LINE))?.[1];
    } else if (/^lit: .*\b(?:fatal|error)\b/.test(text.slice(0, MAX_LINE))) {
      yield { kind: "note", place: `line ${number}`, text: text.slice(0, 500) };
    } else {
      const planned = BEGIN.exec(text.slice(0, MAX_LINE))?.[1];
      if (planned !== undefined) this.#planned = Number(planned);
    }
  }

  #addText(text: string): void {
    if (this.#last !== undefined && this.#last.text.length < MAX_EXCERPT) this.#last.text += `${text}\n`;
  }

  #measure(text: string): void {
    const [, metric, value] = METRIC.exec(text.trimEnd()) ?? [];
    const record = this.#last?.record;
    if (metric === undefined || record === undefined) return;
    if ((record.samples?.length ?? 0) >= MAX_SAMPLES) return;
    const number = numberSample(metric, value);
    const samples = number.length > 0 || /^-?(?:nan|inf)$/.test(value!)
      ? number
      : sampleOf(metric, value!.replace(/^"(.*)"$/, "$1"));
    if (samples.length > 0) (record.samples ??= []).push(...samples);
  }

  *end(): Generator<FormatItem> {
    yield* this.#flush();
    if (this.#read >= this.#planned) return;
    const text = `it lists ${this.#read} of ${this.#planned} tests: lit lists passed tests only with -v`;
    yield { kind: "note", place: "the file", text };
  }

  *#flush(): Generator<FormatItem> {
    if (this.#last === undefined) return;
    const { record, text } = this.#last;
    this.#last = undefined;
    const message = GOOD.includes(record.outcome) ? undefined : excerpt(text);
    if (message !== undefined) record.message = message;
    yield { kind: "result", record };
  }
}

function recordOf(code: string, name: string): ResultRecord {
  const record: ResultRecord = { case: caseName(name), outcome: outcomeOfCode(code) };
  if (!isPlainCode(code)) record.word = wordOf(code);
  return record;
}
