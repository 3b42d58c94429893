import { turns } from "../turns.ts";

/** Characters passed to `JSON.parse` at once, which take it about a millisecond. */
const AT_ONCE = 1 << 17;

/** Most nested long parts; each level scans its text again. */
const MAX_DEPTH = 64;

const QUOTE = 34;
const BACKSLASH = 92;

/**
 * Parses a text like `JSON.parse`; a long text in slices, letting other work run between them.
 * @throws SyntaxError when it is not JSON, or long parts are nested more than 64 levels deep
 */
export async function parseInSlices(
  text: string,
  { atOnce = AT_ONCE, taken = turns }: { atOnce?: number; taken?: Pick<typeof turns, "take"> } = {},
): Promise<unknown> {
  if (text.length <= atOnce) return JSON.parse(text);
  const { value, end } = await new Slicer(text, atOnce, taken).value(skipBlanks(text, 0));
  const rest = skipBlanks(text, end);
  if (rest < text.length) throw fault(text, rest);
  return value;
}

interface Read {
  value: unknown;
  /** Position after the value. */
  end: number;
}

/** Parses several short parts of a list or object at once, and descends into a part that is longer than a slice. */
class Slicer {
  constructor(
    readonly text: string,
    readonly atOnce: number,
    readonly taken: Pick<typeof turns, "take">,
  ) {}

  async value(from: number, depth = 0): Promise<Read> {
    const { text } = this;
    if (depth > MAX_DEPTH) throw new SyntaxError(`It is nested deeper than ${MAX_DEPTH} levels`);
    const isList = text[from] === "[";
    if (!isList && text[from] !== "{") {
      const { end } = this.#parts(from, Infinity);
      return { value: JSON.parse(text.slice(from, end)), end };
    }
    const all: unknown[] | Record<string, unknown> = isList ? [] : {};
    const closing = isList ? "]" : "}";
    let at = from + 1;
    for (let isFirst = true;; isFirst = false) {
      await this.taken.take();
      const { end, comma } = this.#parts(at, this.atOnce);
      if (text[end] === closing) {
        const isBlank = skipBlanks(text, at) === end;
        if (isBlank && !isFirst) throw fault(text, end);
        if (!isBlank) add(all, JSON.parse(`${text[from]}${text.slice(at, end)}${closing}`));
        return { value: all, end: end + 1 };
      }
      if (comma >= 0) {
        if (skipBlanks(text, at) === comma) throw fault(text, comma);
        add(all, JSON.parse(`${text[from]}${text.slice(at, comma)}${closing}`));
        at = comma + 1;
        continue;
      }
      // The next part alone is longer than a slice.
      let key: string | undefined;
      at = skipBlanks(text, at);
      if (isFirst && text[at] === closing) return { value: all, end: at + 1 };
      if (!isList) {
        if (text.charCodeAt(at) !== QUOTE) throw fault(text, at);
        const keyEnd = stringEnd(text, at);
        key = JSON.parse(text.slice(at, keyEnd)) as string;
        at = skipBlanks(text, keyEnd);
        if (text[at] !== ":") throw fault(text, at);
        at = skipBlanks(text, at + 1);
      }
      const part = await this.value(at, depth + 1);
      if (key === undefined) (all as unknown[]).push(part.value);
      else define(all as Record<string, unknown>, key, part.value);
      at = skipBlanks(text, part.end);
      if (text[at] === closing) return { value: all, end: at + 1 };
      if (text[at] !== ",") throw fault(text, at);
      at++;
      // A trailing comma is not JSON.
      if (text[skipBlanks(text, at)] === closing) throw fault(text, at);
    }
  }

  /**
   * Scans at most `most` characters for the end of the values from `from` on. `end`: the closing bracket, or -1 if it is further
   * away; `comma`: the last comma between the values, or -1. With `most` Infinity, `end` is also a comma or the text's end.
   */
  #parts(from: number, most: number): { end: number; comma: number } {
    const { text } = this;
    const limit = Math.min(text.length, from + most);
    let depth = 0;
    let comma = -1;
    for (let at = from; at < limit; at++) {
      const code = text.charCodeAt(at);
      if (code === QUOTE) at = stringEnd(text, at) - 1;
      else if (code === 91 || code === 123) depth++;
      else if (code === 93 || code === 125) {
        if (depth-- === 0) return { end: at, comma };
      } else if (code === 44 && depth === 0) {
        if (most === Infinity) return { end: at, comma };
        comma = at;
      }
    }
    return { end: most === Infinity ? text.length : -1, comma };
  }
}

/** The position after the string whose opening quote is at `from`; the text's end for an unclosed string. */
function stringEnd(text: string, from: number): number {
  for (let at = text.indexOf('"', from + 1); at >= 0; at = text.indexOf('"', at + 1)) {
    let slashes = 0;
    while (text.charCodeAt(at - 1 - slashes) === BACKSLASH) slashes++;
    if (slashes % 2 === 0) return at + 1;
  }
  return text.length;
}

function skipBlanks(text: string, from: number): number {
  let at = from;
  for (let code = text.charCodeAt(at); code === 32 || code === 9 || code === 10 || code === 13;) {
    code = text.charCodeAt(++at);
  }
  return at;
}

function add(all: unknown[] | Record<string, unknown>, parts: unknown): void {
  if (Array.isArray(all)) { for (const one of parts as unknown[]) all.push(one); }
  else for (const [key, value] of Object.entries(parts as object)) define(all, key, value);
}

/** Sets a key as `JSON.parse` does: `__proto__` is a plain key. */
function define(target: Record<string, unknown>, key: string, value: unknown): void {
  if (key === "__proto__") {
    Object.defineProperty(target, key, { value, writable: true, enumerable: true, configurable: true });
  } else target[key] = value;
}

function fault(text: string, at: number): SyntaxError {
  return at >= text.length
    ? new SyntaxError("Unexpected end of JSON input")
    : new SyntaxError(`Unexpected token ${JSON.stringify(text[at])} at position ${at}`);
}
