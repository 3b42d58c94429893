import type { Outcome } from "../schemas/outcome.ts";
import type { ResultRecord } from "../schemas/record.ts";
import { caseName, excerpt } from "./text.ts";

const WORDS: Record<string, Outcome> = {
  PASS: "passed",
  FAIL: "failed",
  XFAIL: "xfailed",
  XPASS: "xpassed",
  KFAIL: "xfailed",
  KPASS: "xpassed",
  UNSUPPORTED: "unsupported",
  UNRESOLVED: "unresolved",
  UNTESTED: "untested",
  SKIP: "skipped",
  ERROR: "error",
};
/** The cause of failure that GDB appends to a name (gdb_test_multiple in lib/gdb.exp); its rules forbid names with such tails. */
const GDB_TAIL =
  /^gdb\.[\w.+-]+\/[^]* \((timeout|eof|GDB internal error|the program exited|the program is no longer running|got interactive prompt|got breakpoint menu|unexpected output)\)$/;
const ICE = " (internal compiler error: ";
const BAD: Outcome[] = ["failed", "xpassed", "unresolved", "error"];

/** Whether a word is one of DejaGnu's nine, or Automake's. */
export function isDejagnuWord(word: string): boolean {
  return Object.hasOwn(WORDS, word);
}

/** Whether a result is bad, so that the output before it belongs in its message. */
export function isBad({ outcome }: ResultRecord): boolean {
  return BAD.includes(outcome);
}

/**
 * Makes a result of DejaGnu's word and name. A bug number, the text of an internal compiler error and the cause of a GDB failure
 * move to the message, so that the name stays stable. `context`: output before the result; `target`: appended to the name
 * unless empty.
 */
export function dejagnuRecord(
  word: string,
  rest: string,
  { context, target }: { context: string; target: string },
): ResultRecord {
  const outcome = WORDS[word]!;
  const messages: string[] = [];
  let name = rest.trimEnd();
  const [suffix, bug] = /\(PRMS:? ([^()]*)\)$/.exec(name) ?? [];
  if (suffix !== undefined) {
    messages.push(`PRMS ${bug}`);
    name = name.slice(0, -suffix.length).trimEnd();
  }
  const at = name.indexOf(ICE);
  if (at >= 0 && name.endsWith(")")) {
    messages.push(name.slice(at + 2, -1));
    name = `${name.slice(0, at)} (internal compiler error)`;
  }
  const tail = outcome === "passed" ? undefined : GDB_TAIL.exec(name)?.[1];
  if (tail !== undefined) {
    messages.push(tail);
    name = name.slice(0, -tail.length - 3);
  }
  const skip = word === "SKIP" ? name.indexOf(" # SKIP") : -1;
  if (skip >= 0) {
    messages.push(name.slice(skip + 7));
    name = name.slice(0, skip);
  }
  if (target !== "") name = `${name.trim()} [${target}]`;
  if (BAD.includes(outcome)) messages.push(context);
  const record: ResultRecord = { case: caseName(name), outcome };
  if (word.startsWith("K")) record.word = word;
  const message = excerpt(messages.join("\n"));
  if (message !== undefined) record.message = message;
  return record;
}
