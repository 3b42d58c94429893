import { MAX_CASE } from "../schemas/record.ts";
import type { Outcome } from "../schemas/outcome.ts";
import { FormatError, type FormatItem, type ResultFormat } from "./format.ts";

const NAME = "subtests.txt";
const MAX_LINE = 10_000;
const WORDS: Record<string, Outcome> = {
  pass: "passed",
  passed: "passed",
  ok: "passed",
  fail: "failed",
  failed: "failed",
  error: "error",
  timeout: "timeout",
  skip: "skipped",
  skipped: "skipped",
};

/**
 * Lines of `name=score`, one case each (the lab's own format). A score of 0 means failed, a greater number passed; the words
 * `pass`, `fail`, `error`, `timeout` and `skip` are allowed too. Empty lines and lines that begin with `#` are skipped.
 */
export const subtests: ResultFormat = {
  name: "subtests",
  summary: "name=score lines (subtests.txt)",
  recognises(fileName, head) {
    if (fileName !== "subtests.txt") return false;
    return !head.includes(0) && !/^\s*</.test(new TextDecoder().decode(head.slice(0, 100)));
  },
  async *parse(input) {
    const decoder = new TextDecoder("utf-8", { fatal: true });
    let rest = "";
    let number = 0;
    for await (const chunk of input) {
      const lines = (rest + decode(decoder, chunk)).split("\n");
      rest = lines.pop()!;
      if (rest.length > MAX_LINE) {
        throw new FormatError(
          NAME,
          `line ${number + lines.length + 1} is longer than ${MAX_LINE} characters`,
        );
      }
      yield lines.flatMap((line) => [...read(line, ++number)]);
    }
    yield [...read(rest + decode(decoder), ++number)];
  },
};

function decode(decoder: TextDecoder, chunk?: Uint8Array): string {
  try {
    return chunk === undefined ? decoder.decode() : decoder.decode(chunk, { stream: true });
  } catch {
    throw new FormatError(NAME, "its bytes are not UTF-8");
  }
}

function* read(line: string, number: number): Generator<FormatItem> {
  const text = line.trim();
  if (text === "" || text.startsWith("#")) return;
  const place = `line ${number}`;
  const at = text.lastIndexOf("=");
  const name = text.slice(0, at).trim();
  const score = text.slice(at + 1).trim();
  if (at < 1 || name === "") yield { kind: "rejected", place, reason: "is not name=score" };
  else if (name.length > MAX_CASE || name.includes("\0")) {
    yield {
      kind: "rejected",
      place,
      reason: `has a name that is longer than ${MAX_CASE} characters or contains a NUL`,
    };
  } else {
    const outcome = outcomeOf(score);
    if (outcome === undefined) {
      yield {
        kind: "rejected",
        place,
        reason: `has a score that is neither a non-negative number nor a known word: ${
          JSON.stringify(score.slice(0, 40))
        }`,
      };
    } else {yield {
        kind: "result",
        record: { case: name, outcome, ...(score === outcome ? {} : { word: score.slice(0, 64) }) },
      };}
  }
}

function outcomeOf(score: string): Outcome | undefined {
  if (/^\+?(?:\d+(?:\.\d*)?|\.\d+)(?:e[-+]?\d+)?%?$/i.test(score)) {
    return Number.parseFloat(score) === 0 ? "failed" : "passed";
  }
  return Object.hasOwn(WORDS, score.toLowerCase()) ? WORDS[score.toLowerCase()] : undefined;
}
