import { isFormula } from "./csv_formula.ts";
import { CsvFault, type CsvRow, CsvRows, delimiterOf } from "./csv_rows.ts";
import { FormatError, type FormatItem, type ResultFormat } from "./format.ts";
import { decodeText, headText } from "./lines.ts";
import { recordItem } from "./ndjson.ts";

const NAME = "CSV";
/** Most blank lines before the header row. */
const MAX_BLANKS = 100;
const TEXTS = ["case", "outcome", "word", "message"];

/**
 * CSV (RFC 4180) of result records, as `GET /api/results?format=csv` writes them. The first row names the columns: `case` and
 * `outcome`, and optionally `word`, `durationMs` and `message`. Other columns are ignored. The delimiter may also be a
 * semicolon or a tab.
 */
export const csv: ResultFormat = {
  name: "csv",
  summary: "CSV of result records",
  recognises(_fileName, head) {
    const first = headText(head).split(/[\r\n]/, MAX_BLANKS).find((line) => line.trim() !== "") ?? "";
    const columns = first.split(delimiterOf(first)).map((one) => one.trim().replace(/^"(.*)"$/, "$1"));
    return columns.includes("case") && columns.includes("outcome");
  },
  async *parse(input) {
    const rows = new CsvRows();
    let toItem: ((row: CsvRow) => FormatItem) | undefined;
    const itemsOf = (read: CsvRow[]): FormatItem[] => {
      const [first, ...others] = read;
      if (first === undefined) return [];
      if (toItem !== undefined) return read.map(toItem);
      toItem = itemMaker(first.fields);
      return others.map(toItem);
    };
    try {
      for await (const text of decodeText(input)) yield itemsOf(rows.write(text));
      yield itemsOf(rows.end());
    } catch (error) {
      if (!(error instanceof CsvFault)) throw error;
      throw new FormatError(NAME, error.message);
    }
  },
};

/** Returns a function that makes an item of a row with these columns. */
function itemMaker(columns: string[]): (row: CsvRow) => FormatItem {
  const names = columns.map((one) => one.trim());
  const texts = TEXTS.map((name) => [name, names.lastIndexOf(name)] as const).filter(([, at]) => at >= 0);
  const durationAt = names.lastIndexOf("durationMs");
  return ({ fields, line }) => {
    if (fields.length !== names.length) {
      const reason = `it has ${fields.length} columns, but the first row has ${names.length}`;
      return { kind: "rejected", place: `line ${line}`, reason };
    }
    const record: Record<string, unknown> = {};
    for (const [name, at] of texts) {
      const value = fields[at]!;
      if (value !== "") record[name] = withoutGuard(value);
    }
    const duration = durationAt < 0 ? "" : fields[durationAt]!.trim();
    // With another delimiter, a comma may be the decimal separator.
    if (duration !== "") record.durationMs = Number(duration.replace(/^(\d+),(\d+)$/, "$1.$2"));
    return recordItem(record, line);
  };
}

/** Removes the apostrophe that keeps a spreadsheet from running the text as a formula. */
function withoutGuard(value: string): string {
  return value.startsWith("'") && isFormula(value.slice(1)) ? value.slice(1) : value;
}
