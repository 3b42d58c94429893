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
      parseCsv({
        bom: true,
        columns: true,
        info: true,
        max_record_size: MAX_ROW,
        relax_column_count: true,
        skip_empty_lines: true,
        skip_records_with_empty_values: true,
      }),
    );
    try {
      let items: FormatItem[] = [];
      let twice = 0;
      for await (const { record, info } of rows as AsyncIterable<{ record: Row; info: Info }>) {
        // csv-parse counts a CRLF within a field as two lines.
        for (const value of Object.values(record)) {
          if (value.includes("\r\n")) twice += value.split("\r\n").length - 1;
        }
        items.push(toItem(record, info.lines - twice, info.error));
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
interface Info {
  lines: number;
  /** That it has more columns than the first row, or fewer. */
  error?: CsvError;
}

function toItem(row: Row, line: number, error: CsvError | undefined): FormatItem {
  if (error !== undefined) {
    return { kind: "rejected", place: `line ${line}`, reason: error.message.replace(/ on line \d+$/, "") };
  }
  const fields: Record<string, unknown> = {};
  for (const name of ["case", "outcome", "word", "message"]) {
    const value = row[name];
    if (value !== undefined && value !== "") fields[name] = value.replace(/^'(?=[=+\-@\t\r])/, "");
  }
  const { durationMs } = row;
  if (durationMs !== undefined && durationMs.trim() !== "") fields.durationMs = Number(durationMs);
  return recordItem(fields, line);
}
