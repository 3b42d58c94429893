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
/** What GDB says behind a name of how it failed (gdb_test_multiple in its lib/gdb.exp); its rule is that names have no such tails. */
const GDB_TAIL =
  /^gdb\.[\w.+-]+\/[^]* \((timeout|eof|GDB internal error|the program exited|the program is no longer running|got interactive prompt|got breakpoint menu|unexpected output)\)$/;
const ICE = " (internal compiler error: ";
const BAD: Outcome[] = ["failed", "xpassed", "unresolved", "error"];

/** Whether a word is one of DejaGnu's nine, or Automake's. */
export function isDejagnuWord(word: string): boolean {
  return Object.hasOwn(WORDS, word);
}

/** Whether what was said before a result is of interest. */
export function isBad({ outcome }: ResultRecord): boolean {
  return BAD.includes(outcome);
}

/**
 * A result out of DejaGnu's word and name. A bug's number, what an internal compiler error said, and how a test of GDB's
 * failed, go to the message, so that the name stays the same. `context` is what was said before; `target`, if any, is added.
 */
export function dejagnuRecord(
  word: string,
  rest: string,
  { context, target }: { context: string; target: string },
): ResultRecord {
  const outcome = WORDS[word]!;
  const said: string[] = [];
  let name = rest.trimEnd();
  const [suffix, bug] = /\(PRMS:? ([^()]*)\)$/.exec(name) ?? [];
  if (suffix !== undefined) {
    said.push(`PRMS ${bug}`);
    name = name.slice(0, -suffix.length).trimEnd();
  }
  const at = name.indexOf(ICE);
  if (at >= 0 && name.endsWith(")")) {
    said.push(name.slice(at + 2, -1));
    name = `${name.slice(0, at)} (internal compiler error)`;
  }
  const tail = outcome === "passed" ? undefined : GDB_TAIL.exec(name)?.[1];
  if (tail !== undefined) {
    said.push(tail);
    name = name.slice(0, -tail.length - 3);
  }
  const skip = word === "SKIP" ? name.indexOf(" # SKIP") : -1;
  if (skip >= 0) {
    said.push(name.slice(skip + 7));
    name = name.slice(0, skip);
  }
  if (target !== "") name = `${name.trim()} [${target}]`;
  if (BAD.includes(outcome)) said.push(context);
  const record: ResultRecord = { case: caseName(name), outcome };
  if (word.startsWith("K")) record.word = word;
  const message = excerpt(said.join("\n"));
  if (message !== undefined) record.message = message;
  return record;
}
