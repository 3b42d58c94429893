import { Buffer } from "node:buffer";
import { Tokenizer, TokenParser, TokenType } from "@streamparser/json";
import { turns } from "../turns.ts";
import { parseInSlices } from "./json_slices.ts";

/** Non-finite numbers as Python and C++ write them, at the start of a value; JSON cannot represent them. */
const NON_FINITE = /([:,[]\s*)-?(?:NaN|Infinity|nan|inf)(?=[\s,\]}]|$)/g;
/** The possible beginning of a non-finite number. */
const BEGINNING = /[:,[]\s*-?[A-Za-z]{0,8}$/;
const LONGEST = 1024;
/** Characters passed to the tokenizer at once. */
const AT_ONCE = 1 << 15;

/** Passes a JSON text to a tokenizer, with null for `NaN` and `Infinity`. Call `onToken` in the tokenizer's `onToken`. */
export class LenientJson {
  #tokenizer: Tokenizer;
  #pending = "";
  #isMark = false;
  /** Bytes passed to the tokenizer, and the offset of the last token among them. */
  #taken = 0;
  #tokenAt = 0;
  /** The text being passed now. */
  #slice = "";
  /** Line and column (from 0) in the file after the text passed before. */
  #lines = 0;
  #column = 0;

  constructor(tokenizer: Tokenizer) {
    this.#tokenizer = tokenizer;
  }

  /** The text that was not passed to the tokenizer yet. */
  get pending(): string {
    return this.#pending;
  }

  /** The present line, from 1. */
  get line(): number {
    return this.#lines + 1;
  }

  /** `at`: the token's offset in the bytes passed. */
  onToken(token: TokenType, at: number): void {
    this.#isMark = token === TokenType.COLON || token === TokenType.COMMA || token === TokenType.LEFT_BRACKET;
    this.#tokenAt = at;
  }

  write(piece: string): void {
    const text = this.#pending + piece;
    this.#pending = BEGINNING.exec(text.slice(-LONGEST))?.[0] ?? "";
    this.#write(text.slice(0, text.length - this.#pending.length));
  }

  end(): void {
    this.#write(this.#pending);
    this.#pending = "";
    this.#tokenizer.end();
  }

  /** The place in the file of an error that was just thrown, or without an error the present place: `line 3, column 7`. */
  place(error?: Error): string {
    let before = "";
    if (error !== undefined) {
      // The tokenizer's errors name a byte offset; the parser's errors concern the last token.
      const offset = /at chunk position "(\d+)"/.exec(error.message)?.[1];
      const at = offset === undefined ? Math.max(0, this.#tokenAt - this.#taken) : Number(offset);
      before = Buffer.from(this.#slice).toString("utf-8", 0, at);
    }
    const [lines, column] = after(before, this.#lines, this.#column);
    return `line ${lines + 1}, column ${column + 1}`;
  }

  #write(text: string): void {
    let from = 0;
    for (const { 0: whole, 1: before, index } of text.matchAll(NON_FINITE)) {
      if (index > from) this.#pass(text.slice(from, index));
      this.#isMark = false;
      this.#pass(before!);
      from = index + before!.length;
      // Without a token before it, the match is inside a string.
      if (!this.#isMark) continue;
      this.#pass("null", text.slice(from, index + whole.length));
      from = index + whole.length;
    }
    if (from < text.length) this.#pass(text.slice(from));
  }

  #pass(slice: string, inFile = slice): void {
    this.#slice = slice;
    this.#tokenizer.write(slice);
    this.#taken += Buffer.byteLength(slice);
    this.#slice = "";
    [this.#lines, this.#column] = after(inFile, this.#lines, this.#column);
  }
}

/** Parses a JSON text, with null for `NaN` and `Infinity`; a long text in slices. @throws SyntaxError */
export async function parseLenientJson(text: string): Promise<unknown> {
  try {
    return await parseInSlices(text);
  } catch (error) {
    // Nearly all texts are valid JSON, which `parseInSlices` reads much faster.
    if (!text.includes("NaN") && !text.includes("Infinity")) throw error;
    const tokenizer = new Tokenizer();
    const json = new LenientJson(tokenizer);
    const parser = new TokenParser({ paths: ["$"], keepStack: false });
    let found: { value: unknown } | undefined;
    parser.onValue = ({ value }) => found = { value };
    tokenizer.onToken = (token) => {
      json.onToken(token.token, token.offset);
      parser.write(token);
    };
    try {
      for (let at = 0; at < text.length; at += AT_ONCE) {
        await turns.take();
        json.write(text.slice(at, at + AT_ONCE));
      }
      json.end();
    } catch {
      throw error;
    }
    if (found === undefined) throw error;
    return found.value;
  }
}

/** Line and column (from 0) after a text. */
function after(text: string, lines: number, column: number): [number, number] {
  let last = -1;
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) {
    lines++;
    last = at;
  }
  return [lines, last < 0 ? column + text.length : text.length - last - 1];
}
