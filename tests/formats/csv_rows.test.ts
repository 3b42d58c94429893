import fc from "fast-check";
import { parse } from "csv-parse/sync";
import { expect, test } from "vitest";
import { type CsvRow, CsvRows } from "../../formats/csv_rows.ts";
import { cpuMs } from "../helpers/cpu.ts";
import { readBack } from "../helpers/formats.ts";

function rowsOf(text: string, size: number): CsvRow[] {
  const reader = new CsvRows();
  const rows: CsvRow[] = [];
  for (let at = 0; at < text.length; at += size) rows.push(...reader.write(text.slice(at, at + size)));
  return [...rows, ...reader.end()];
}

const field = fc.array(fc.constantFrom("a", "b", " ", ",", ";", "\t", '"', "'", "\n", "\r\n", "ü"), {
  maxLength: 6,
})
  .map((parts) => parts.join(""));

test("written CSV is read back with any delimiter and in any pieces", () => {
  fc.assert(
    fc.property(
      fc.constantFrom(",", ";", "\t"),
      fc.constantFrom("\n", "\r\n", "\r"),
      fc.array(fc.tuple(field, field, field, fc.boolean()), { maxLength: 8 }),
      fc.boolean(),
      fc.integer({ min: 1, max: 50 }),
      (delimiter, end, values, isEnded, size) => {
        const quoted = (text: string, always: boolean) =>
          always || /[,;\t"\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
        const head = ["one", "two", "three"];
        const lines = [
          head.join(delimiter),
          ...values.map(([a, b, c, always]) => [a, b, c].map((text) => quoted(text, always)).join(delimiter)),
        ];
        const text = lines.join(end) + (isEnded ? end : "");
        const filled = values.map(([a, b, c]) => [a, b, c]).filter((fields) =>
          fields.some((one) => one.trim() !== "")
        );
        const read = rowsOf(text, size);
        expect(read.map((row) => row.fields)).toEqual([head, ...filled]);
        const other = parse(text, {
          delimiter,
          record_delimiter: end,
          relax_column_count: true,
          skip_records_with_empty_values: true,
        });
        expect(read.map((row) => row.fields)).toEqual(other);
      },
    ),
    { numRuns: 2000 },
  );
});

test("a row's line is its first line", () => {
  const rows = rowsOf('a,b\n1,"x\ny"\n\n,\n2,z\r\n3,"\n\n"\n4,w', 3);
  expect(rows.map(({ fields, line }) => [fields[0], line])).toEqual([["a", 1], ["1", 2], ["2", 6], ["3", 7], [
    "4",
    10,
  ]]);
});

test("invalid CSV is reported by line, and no row may be longer than a mebibyte", () => {
  for (const size of [1, 7, 1 << 16]) {
    for (
      const [text, reason] of [
        ['a,b\n"x"y,z\n', "line 2: text follows the end of a quoted field"],
        ['a,b\nx"y,z\n', "line 2: an unquoted field contains a quote"],
        ['a,b\n1,2\n3,"x\n', "line 3: a quoted field is not closed"],
      ] as const
    ) {
      expect(() => rowsOf(text, size)).toThrow(reason);
    }
  }
  expect(() => rowsOf(`a,b\n"${"x".repeat(3 << 20)}`, 1 << 16)).toThrow(
    "line 2: a row has more than 1048576",
  );
  expect(rowsOf(`a,b\n1,"${"x".repeat(1_000_000)}"\n`, 1 << 16)[1]!.fields[1]).toHaveLength(1_000_000);
  expect([rowsOf("", 1), rowsOf("\n\n", 1)]).toEqual([[], []]);
});

test("results with semicolons or tabs, and spaces around column names", async () => {
  for (const delimiter of [";", "\t"]) {
    const text = [
      ["case", "outcome", "message"],
      ["a", "passed", ""],
      ["b", "failed", '"x, y"'],
    ].map((row) => row.join(delimiter)).join("\r\n");
    for (const size of [1, 1 << 16]) {
      expect((await readBack(text, { size })).records).toEqual([
        { case: "a", outcome: "passed" },
        { case: "b", outcome: "failed", message: "x, y" },
      ]);
    }
  }
  expect((await readBack("case, outcome\na,passed\n")).records).toEqual([{ case: "a", outcome: "passed" }]);
  expect((await readBack("case,outcome\ra,passed\rb,failed")).counts).toEqual({ passed: 1, failed: 1 });
});

test("a long row in small pieces and many blank rows take linear time", async () => {
  const ms = await cpuMs(() => {
    expect(rowsOf(`a,b\n${`1,"${'""'.repeat(400_000)}"\n`.repeat(5)}`, 1 << 10)).toHaveLength(6);
    expect(rowsOf(`a,b\n${"\n".repeat(1 << 20)}1,2`, 1 << 20)).toHaveLength(2);
  });
  // Quadratic code would take a hundred times as long.
  expect(ms).toBeLessThan(2500);
});
