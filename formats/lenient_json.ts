import { Buffer } from "node:buffer";
import { Tokenizer, TokenParser, TokenType } from "@streamparser/json";
import { turns } from "../turns.ts";
import { parseInSlices } from "./json_slices.ts";

/** What Python and C++ write where a number is none, before which a value may begin; JSON has no word for it. */
const NO_NUMBER = /([:,[]\s*)-?(?:NaN|Infinity|nan|inf)(?=[\s,\]}]|$)/g;
/** What may be the beginning of one. */
const BEGINNING = /[:,[]\s*-?[A-Za-z]{0,8}$/;
const LONGEST = 1024;
/** Characters that the tokenizer takes at once. */
const AT_ONCE = 1 << 15;

/** Hands a JSON text on to a tokenizer, with null for `NaN` and `Infinity`; `onToken` is to be called by the tokenizer's. */
export class LenientJson {
  #tokenizer: Tokenizer;
  #held = "";
  #isMark = false;
  /** Bytes that the tokenizer has taken, and where the last token begins among them. */
  #taken = 0;
  #tokenAt = 0;
  /** What it is taking now. */
  #slice = "";
  /** Of the file's text before that: lines, and characters of the last. */
  #lines = 0;
  #column = 0;

  constructor(tokenizer: Tokenizer) {
    this.#tokenizer = tokenizer;
  }

  /** What was not handed on yet. */
  get held(): string {
    return this.#held;
  }

  /** How far it was read, from 1. */
  get line(): number {
    return this.#lines + 1;
  }

  /** `at`: where it begins, in bytes that were handed on. */
  onToken(token: TokenType, at: number): void {
    this.#isMark = token === TokenType.COLON || token === TokenType.COMMA || token === TokenType.LEFT_BRACKET;
    this.#tokenAt = at;
  }

  write(piece: string): void {
    const text = this.#held + piece;
    this.#held = BEGINNING.exec(text.slice(-LONGEST))?.[0] ?? "";
    this.#write(text.slice(0, text.length - this.#held.length));
  }

  end(): void {
    this.#write(this.#held);
    this.#held = "";
    this.#tokenizer.end();
  }

  /** Where in the file an error is that was just thrown, or without one how far it was read: `line 3, column 7`. */
  place(error?: Error): string {
    let before = "";
    if (error !== undefined) {
      // The tokenizer tells the byte; what the parser finds wrong is the token at hand.
      const told = /at chunk position "(\d+)"/.exec(error.message)?.[1];
      const at = told === undefined ? Math.max(0, this.#tokenAt - this.#taken) : Number(told);
      before = Buffer.from(this.#slice).toString("utf-8", 0, at);
    }
    const [lines, column] = after(before, this.#lines, this.#column);
    return `line ${lines + 1}, column ${column + 1}`;
  }

  #write(text: string): void {
    let from = 0;
    for (const { 0: whole, 1: before, index } of text.matchAll(NO_NUMBER)) {
      if (index > from) this.#hand(text.slice(from, index));
      this.#isMark = false;
      this.#hand(before!);
      from = index + before!.length;
      // In a string no token comes.
      if (!this.#isMark) continue;
      this.#hand("null", text.slice(from, index + whole.length));
      from = index + whole.length;
    }
    if (from < text.length) this.#hand(text.slice(from));
  }

  #hand(slice: string, inFile = slice): void {
    this.#slice = slice;
    this.#tokenizer.write(slice);
    this.#taken += Buffer.byteLength(slice);
    this.#slice = "";
    [this.#lines, this.#column] = after(inFile, this.#lines, this.#column);
  }
}

/** What a JSON text says, with null for `NaN` and `Infinity`, in slices where it is long. @throws SyntaxError */
export async function parseLenientJson(text: string): Promise<unknown> {
  try {
    return await parseInSlices(text);
  } catch (error) {
    // Nearly all is JSON, which the runtime reads by itself.
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

/** Lines, and characters of the last, once a text has come. */
function after(text: string, lines: number, column: number): [number, number] {
  let last = -1;
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) {
    lines++;
    last = at;
  }
  return [lines, last < 0 ? column + text.length : text.length - last - 1];
}
