const TOKEN = /-?(?:NaN|Infinity)/y;
const LONGEST = "-Infinity".length;

/**
 * JSON with `null` for the bare `NaN`, `Infinity` and `-Infinity` that Google Benchmark, and Python for lit and LNT, write for numbers
 * that JSON cannot say. Text goes in and comes out in pieces; what is in strings stays.
 */
export class NonFinite {
  #isInString = false;
  /** What may be the beginning of a number's name, or of an escape. */
  #rest = "";

  write(piece: string): string {
    const text = this.#rest + piece;
    this.#rest = "";
    let out = "";
    let from = 0;
    const next = (pattern: RegExp, at: number) => {
      pattern.lastIndex = at;
      return pattern.exec(text)?.index ?? text.length;
    };
    for (let at = 0; at < text.length;) {
      if (this.#isInString) {
        at = next(/["\\]/g, at);
        if (text[at] === '"') this.#isInString = false;
        else if (at === text.length - 1) return out + this.#keep(text, from, at);
        else at++;
        at++;
        continue;
      }
      at = next(/["NI-]/g, at);
      if (text[at] === '"') this.#isInString = true;
      else if (at < text.length) {
        TOKEN.lastIndex = at;
        const token = TOKEN.exec(text)?.[0];
        if (token !== undefined) {
          out += `${text.slice(from, at)}null`;
          from = at += token.length;
          continue;
        }
        const tail = text.slice(at);
        if (
          tail.length < LONGEST &&
          ["-Infinity", "Infinity", "-NaN", "NaN"].some((one) => one.startsWith(tail))
        ) {
          return out + this.#keep(text, from, at);
        }
      }
      at++;
    }
    return out + text.slice(from);
  }

  /** What was kept back, at the end of the text. */
  end(): string {
    return this.#rest;
  }

  #keep(text: string, from: number, at: number): string {
    this.#rest = text.slice(at);
    return text.slice(from, at);
  }
}
