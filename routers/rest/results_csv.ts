import { z } from "zod";
import { listResults } from "../../db/results/result_list.ts";
import { isFormula } from "../../formats/csv_formula.ts";
import { resultList } from "../../schemas/result.ts";
import { withNumbers } from "../labels.ts";
import { parseInput, readQuery } from "./adapter.ts";
import type { RestContext, RestOnly } from "./route.ts";

const PAGE = 1000;
const COLUMNS = [
  "changelist",
  "runId",
  "package",
  "case",
  "ordinal",
  "outcome",
  "word",
  "durationMs",
  "environment",
  "message",
] as const;
const input = resultList.extend({ format: z.enum(["csv", "json"]) });

/** `GET /api/results?format=csv`: streams all results that match the filters, page by page. */
export const resultsCsv: RestOnly = {
  method: "GET",
  path: "/api/results",
  summary: "With `format=csv`: all matching results as a CSV file",
  role: "anyone",
  cost: 10,
  produces: "text/csv",
  input,
  when: (c) => new URL(c.req.url).searchParams.has("format"),
  handle,
};

async function handle(c: RestContext): Promise<Response> {
  const { sql } = c.get("hub");
  const given = await withNumbers(sql, readQuery(c.req.url, Object.keys(input.shape)));
  const { format, ...query } = parseInput(input, given);
  if (format === "json") {
    return c.body((await listResults(sql, query)).text, 200, { "content-type": "application/json" });
  }
  let page = (await listResults(sql, { ...query, limit: PAGE })).value;
  let isFirst = true;
  const encoder = new TextEncoder();
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      if (isFirst) controller.enqueue(encoder.encode(COLUMNS.join(",") + "\r\n"));
      else if (page.nextCursor === null) return controller.close();
      else page = (await listResults(sql, { ...query, limit: PAGE, cursor: page.nextCursor })).value;
      isFirst = false;
      const rows = page.items.map((item) =>
        COLUMNS.map((name) => cell(name === "environment" ? JSON.stringify(item[name]) : item[name])).join(
          ",",
        ) + "\r\n"
      );
      if (rows.length > 0) controller.enqueue(encoder.encode(rows.join("")));
      if (page.nextCursor === null) controller.close();
    },
  });
  return new Response(body, {
    headers: {
      "content-type": "text/csv; charset=utf-8",
      "content-disposition": 'attachment; filename="results.csv"',
    },
  });
}

/** Formats a cell so that spreadsheets treat it as text, not as a formula. */
export function cell(value: string | number | null): string {
  if (value === null) return "";
  if (typeof value === "number") return String(value);
  const safe = isFormula(value) ? `'${value}` : value;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
