const TOKEN = /-?(?:NaN|Infinity)/y;
const OUTSIDE = /["NI-]/g;
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
    for (let at = 0; at < text.length;) {
      if (this.#isInString) {
        const end = text.indexOf('"', at);
        const slashes = slashesBefore(text, end === -1 ? text.length : end, at);
        if (end === -1) return out + this.#keep(text, from, text.length - slashes % 2);
        if (slashes % 2 === 0) this.#isInString = false;
        at = end + 1;
        continue;
      }
      OUTSIDE.lastIndex = at;
      at = OUTSIDE.exec(text)?.index ?? text.length;
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

/** How many backslashes end at a place, of those from another on. */
function slashesBefore(text: string, end: number, from: number): number {
  let at = end;
  while (at > from && text[at - 1] === "\\") at--;
  return end - at;
}
