import { Readable } from "node:stream";
import { CsvError, parse as parseCsv } from "csv-parse";
import { FormatError, type FormatItem, type ResultFormat } from "./format.ts";
import { decodeText, headText } from "./lines.ts";
import { recordItem } from "./ndjson.ts";

const NAME = "CSV";
const MAX_ROW = 1 << 20;
const AT_ONCE = 1000;

/**
 * CSV (RFC 4180) of result records: the first row names the columns, `case` and `outcome` among them, and at will `word`,
 * `durationMs` and `message`, as `GET /api/results?format=csv` writes them. Other columns are passed over.
 */
export const csv: ResultFormat = {
  name: "csv",
  summary: "CSV of result records",
  recognises(_fileName, head) {
    const first = headText(head).split(/\r?\n/, 1)[0]!;
    const columns = first.split(",").map((one) => one.trim().replace(/^"(.*)"$/, "$1"));
    return columns.includes("case") && columns.includes("outcome");
  },
  async *parse(input) {
    const rows = Readable.from(decodeText(input)).pipe(
      parseCsv({ bom: true, columns: true, info: true, max_record_size: MAX_ROW, skip_empty_lines: true }),
    );
    try {
      let items: FormatItem[] = [];
      for await (const { record, info } of rows as AsyncIterable<{ record: Row; info: { lines: number } }>) {
        items.push(toItem(record, info.lines));
        if (items.length < AT_ONCE) continue;
        yield items;
        items = [];
      }
      yield items;
    } catch (error) {
      if (!(error instanceof CsvError)) throw error;
      throw new FormatError(NAME, (error as Error).message.slice(0, 300));
    }
  },
};

type Row = Record<string, string>;

function toItem(row: Row, line: number): FormatItem {
  const fields: Record<string, unknown> = {};
  for (const name of ["case", "outcome", "word", "message"]) {
    const value = row[name];
    if (value !== undefined && value !== "") fields[name] = value.replace(/^'(?=[=+\-@\t\r])/, "");
  }
  const { durationMs } = row;
  if (durationMs !== undefined && durationMs.trim() !== "") fields.durationMs = Number(durationMs);
  return recordItem(fields, line);
}
