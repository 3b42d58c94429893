import type { Outcome } from "../schemas/outcome.ts";

const POINT = /^(not )?ok\b(?:[ \t]+(\d+)(?=\s|$))?[ \t]*(?:-(?=\s|$))?/;
const DIRECTIVE = /^#\s*(todo\b|skip\S*|XFAIL\b)/i;
/** What vitest, node-tap, Bats and the kernel's selftests append to a point: its duration, or how its script ended. */
const TAIL =
  /^#\s*(?:time=(\d+(?:\.\d+)?)(ms|s)?|in (\d+) ?ms|(exit=-?\d+)|(timeout after [\d.]+ ?s|TIMEOUT(?: [\d.]+ seconds)?))\s*$/;
const MAX_TAILS = 3;

/** A parsed test point. */
export interface TapPoint {
  /** Its number, if it has one. */
  number: number | undefined;
  /** Its description, or "". */
  name: string;
  outcome: Outcome;
  /** Whether its output is kept as the message. */
  isBad: boolean;
  /** The directive's text, or how its script ended. */
  reason: string;
  durationMs: number | undefined;
  /** Whether a trailing brace opens its subtest. */
  opens: boolean;
}

/** Parses a line of TAP as a test point; undefined for any other line. */
export function readPoint(line: string): TapPoint | undefined {
  const point = POINT.exec(line);
  if (point === null) return undefined;
  const [whole, not, number] = point;
  const { text: rest, opens } = withoutBrace(line.slice(whole.length));
  const { text, durationMs, ended, isTimeout } = withoutTails(rest);
  const { name, kind, reason } = withoutDirective(text);
  const outcome = outcomeOf(not === undefined, kind, isTimeout);
  return {
    number: number === undefined ? undefined : Number(number),
    name: name.replace(/\\([\\#])/g, "$1").trim(),
    outcome,
    isBad: not !== undefined && outcome !== "skipped" || outcome === "xpassed",
    reason: [reason, ...ended].join("\n"),
    durationMs,
    opens,
  };
}

function outcomeOf(isOk: boolean, kind: string, isTimeout: boolean): Outcome {
  if (kind === "todo") return isOk ? "xpassed" : "xfailed";
  // The kernel's selftests write XFAIL for an expected failure that happened.
  if (kind === "xfail") return "xfailed";
  if (kind !== "") return "skipped";
  return isOk ? "passed" : isTimeout ? "timeout" : "failed";
}

function withoutBrace(text: string): { text: string; opens: boolean } {
  const whole = text.trimEnd();
  const opens = whole === "{" || /\s\{$/.test(whole.slice(-2));
  return { text: opens ? whole.slice(0, -1).trimEnd() : whole, opens };
}

function withoutTails(
  text: string,
): { text: string; durationMs: number | undefined; ended: string[]; isTimeout: boolean } {
  const ended: string[] = [];
  let durationMs: number | undefined;
  let isTimeout = false;
  for (let tails = 0; tails < MAX_TAILS; tails++) {
    const at = text.lastIndexOf("#");
    const tail = at > 0 && /\s/.test(text[at - 1]!) ? TAIL.exec(text.slice(at)) : null;
    if (tail === null) break;
    const [, time, unit, ms, exit, late] = tail;
    if (exit !== undefined) ended.unshift(exit);
    else if (late !== undefined) {
      ended.unshift(late);
      isTimeout = true;
    } else durationMs ??= Number(time ?? ms) * (unit === "s" ? 1000 : 1);
    text = text.slice(0, at).trimEnd();
  }
  return { text, durationMs, ended, isTimeout };
}

/** Splits off the directive after a point's first unescaped `#` (one after white space); `name` is the text before it. */
function withoutDirective(text: string): { name: string; kind: string; reason: string } {
  const at = text.search(/(?<!\S)#/);
  const [whole, word] = at < 0 ? [] : DIRECTIVE.exec(text.slice(at)) ?? [];
  if (word === undefined) return { name: text, kind: "", reason: "" };
  const kind = /^todo/i.test(word) ? "todo" : /^xfail/i.test(word) ? "xfail" : "skip";
  return { name: text.slice(0, at), kind, reason: text.slice(at + whole!.length).trimStart() };
}
