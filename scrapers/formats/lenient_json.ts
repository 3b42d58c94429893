import { Tokenizer, TokenType } from "@streamparser/json";

/** What Python and C++ write where a number is none, before which a value may begin; JSON has no word for it. */
const NO_NUMBER = /([:,[]\s*)-?(?:NaN|Infinity|nan|inf)(?=[\s,\]}]|$)/g;
/** What may be the beginning of one. */
const BEGINNING = /[:,[]\s*-?[A-Za-z]{0,8}$/;
const LONGEST = 1024;

/** Hands a JSON text on to a tokenizer, with null for `NaN` and `Infinity`; `onToken` is to be called by the tokenizer's. */
export class LenientJson {
  #tokenizer: Tokenizer;
  #held = "";
  #isMark = false;

  constructor(tokenizer: Tokenizer) {
    this.#tokenizer = tokenizer;
  }

  /** What was not handed on yet. */
  get held(): string {
    return this.#held;
  }

  onToken(token: TokenType): void {
    this.#isMark = token === TokenType.COLON || token === TokenType.COMMA || token === TokenType.LEFT_BRACKET;
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

  #write(text: string): void {
    let from = 0;
    for (const { 0: whole, 1: before, index } of text.matchAll(NO_NUMBER)) {
      if (index > from) this.#tokenizer.write(text.slice(from, index));
      this.#isMark = false;
      this.#tokenizer.write(before!);
      from = index + before!.length;
      // In a string no token comes.
      if (!this.#isMark) continue;
      this.#tokenizer.write("null");
      from = index + whole.length;
    }
    if (from < text.length) this.#tokenizer.write(text.slice(from));
  }
}
