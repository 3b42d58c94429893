/** Longest row, in characters. */
const MAX_ROW = 1 << 20;
const QUOTE = 34;
const LF = 10;
const CR = 13;

export interface CsvRow {
  fields: string[];
  /** The row's first line, from 1. */
  line: number;
}

/** Thrown for invalid CSV. */
export class CsvFault extends Error {}

/**
 * Parses CSV (RFC 4180) in pieces of text. A row ends with LF or CRLF, or with CR alone if the first row does. The header row
 * determines the delimiter: comma, semicolon or tab. Blank rows are skipped.
 * @throws CsvFault
 */
export class CsvRows {
  #rest = "";
  /** Length of the rest at which it is parsed again. */
  #tryAt = 0;
  /** Position of the next delimiter in the present text, as last searched; the text's length for none. */
  #nextDelimiter = -1;
  #line = 1;
  #delimiter: number | undefined;
  #end = LF;
  /** Fields of the present row. */
  #fields: string[] = [];

  /** The next line to read, from 1. */
  get line(): number {
    return this.#line;
  }

  write(piece: string): CsvRow[] {
    const text = this.#rest + piece;
    if (text.length < this.#tryAt) {
      this.#rest = text;
      return [];
    }
    const rows = this.#read(text, false);
    // A long row is parsed again only when its length has doubled, not at each piece.
    this.#tryAt = Math.min(2 * this.#rest.length, MAX_ROW);
    return rows;
  }

  /** The remaining rows. */
  end(): CsvRow[] {
    return this.#read(this.#rest, true);
  }

  #read(text: string, isAll: boolean): CsvRow[] {
    const rows: CsvRow[] = [];
    let at = 0;
    this.#nextDelimiter = -1;
    if (this.#delimiter === undefined && text !== "") {
      const names = text.trimStart();
      const first = names === "" ? null : /[\r\n]/.exec(names);
      // The LF after a CR may be in the next piece.
      if (!isAll && (first === null || first.index + 1 === names.length)) {
        this.#rest = this.#checked(text);
        return rows;
      }
      if (first?.[0] === "\r" && names.charCodeAt(first.index + 1) !== LF) this.#end = CR;
      this.#delimiter = delimiterOf(names.slice(0, first?.index)).charCodeAt(0);
    }
    while (at < text.length) {
      const next = this.#row(text, at, isAll);
      if (next < 0) break;
      if (this.#fields.some((field) => field.trim() !== "")) {
        rows.push({ fields: this.#fields, line: this.#line });
      }
      for (const field of this.#fields) if (field.includes("\n")) this.#line += field.split("\n").length - 1;
      this.#line++;
      at = next;
    }
    this.#rest = this.#checked(text.slice(at));
    return rows;
  }

  /** Reads a row into `#fields`. Returns its end, or -1 if the end has not come yet. */
  #row(text: string, from: number, isAll: boolean): number {
    const fields: string[] = this.#fields = [];
    const end = String.fromCharCode(this.#end);
    const delimiter = String.fromCharCode(this.#delimiter!);
    let at = from;
    // The next line end; the row's end unless it is within quotes.
    let rowEnd = -1;
    while (true) {
      let fieldEnd: number;
      if (text.charCodeAt(at) === QUOTE) {
        fieldEnd = this.#quoted(text, at, isAll);
        if (fieldEnd < 0) return -1;
      } else {
        if (rowEnd < at) rowEnd = text.indexOf(end, at);
        if (rowEnd < 0) {
          if (!isAll) return -1;
          rowEnd = text.length;
        }
        if (this.#nextDelimiter < at) {
          const found = text.indexOf(delimiter, at);
          this.#nextDelimiter = found < 0 ? text.length : found;
        }
        fieldEnd = Math.min(this.#nextDelimiter, rowEnd);
        const field = text.slice(at, fieldEnd);
        const isLast = fieldEnd === rowEnd;
        if (field.includes('"')) throw this.#fault("an unquoted field contains a quote");
        fields.push(isLast && field.endsWith("\r") ? field.slice(0, -1) : field);
      }
      const code = text.charCodeAt(fieldEnd);
      if (code === this.#delimiter) at = fieldEnd + 1;
      else if (code === this.#end) return fieldEnd + 1;
      else if (code === CR && text.charCodeAt(fieldEnd + 1) === this.#end) return fieldEnd + 2;
      else if (fieldEnd >= text.length || code === CR && fieldEnd + 1 >= text.length) {
        return isAll ? text.length : -1;
      } else throw this.#fault("text follows the end of a quoted field");
    }
  }

  /** Reads a quoted field. Returns its end, or -1 if the end has not come yet. */
  #quoted(text: string, from: number, isAll: boolean): number {
    let value = "";
    let at = from + 1;
    while (true) {
      const quote = text.indexOf('"', at);
      if (quote < 0) {
        if (isAll) throw this.#fault("a quoted field is not closed");
        return -1;
      }
      // The next piece may begin with a quote that escapes this one.
      if (quote + 1 === text.length && !isAll) return -1;
      if (text.charCodeAt(quote + 1) !== QUOTE) {
        this.#fields.push(value === "" ? text.slice(at, quote) : value + text.slice(at, quote));
        return quote + 1;
      }
      value += text.slice(at, quote + 1);
      at = quote + 2;
    }
  }

  #checked(rest: string): string {
    if (rest.length > MAX_ROW) throw this.#fault(`a row has more than ${MAX_ROW} characters`);
    return rest;
  }

  #fault(reason: string): CsvFault {
    return new CsvFault(`line ${this.#line}: ${reason}`);
  }
}

/** The delimiter of a header row: spreadsheets write semicolons in many countries. */
export function delimiterOf(head: string): "," | ";" | "\t" {
  const counts = ([",", ";", "\t"] as const).map((one) => [head.split(one).length, one] as const);
  return counts.reduce((best, one) => one[0] > best[0] ? one : best)[1];
}
