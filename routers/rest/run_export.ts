import { z } from "zod";
import { exportRun } from "../../db/results/run_export.ts";
import { getRun } from "../../db/results/runs.ts";
import { JUNIT_TAIL, junitCase, junitHead } from "../../formats/junit_write.ts";
import { id as runId } from "../../schemas/common.ts";
import { parseInput, readQuery } from "./adapter.ts";
import type { RestContext, RestOnly } from "./route.ts";

const input = z.object({ id: runId, format: z.enum(["ndjson", "junit"]) });
const TYPES = { ndjson: "application/x-ndjson", junit: "application/xml" } as const;

/** `GET /api/runs/{id}/results?format=`: streams a whole run as a file that can be pushed again. */
export const runExport: RestOnly = {
  method: "GET",
  path: "/api/runs/{id}/results",
  summary: "With `format=ndjson` or `format=junit`: all results and samples of a run as a file",
  role: "anyone",
  cost: 10,
  produces: "application/x-ndjson",
  input,
  when: (c) => new URL(c.req.url).searchParams.has("format"),
  handle,
};

async function handle(c: RestContext): Promise<Response> {
  const { id, format } = parseInput(input, { ...readQuery(c.req.url, ["format"]), ...c.get("params") });
  const { sql } = c.get("hub");
  const run = await getRun(sql, id);
  const encoder = new TextEncoder();
  async function* lines(): AsyncGenerator<Uint8Array> {
    if (format === "junit") yield encoder.encode(junitHead(run));
    for await (const records of exportRun(sql, run.id)) {
      yield encoder.encode(
        records.map(format === "junit" ? junitCase : (record) => `${JSON.stringify(record)}\n`).join(""),
      );
    }
    if (format === "junit") yield encoder.encode(JUNIT_TAIL);
  }
  return new Response(ReadableStream.from(lines()) as ReadableStream<Uint8Array<ArrayBuffer>>, {
    headers: {
      "content-type": `${TYPES[format]}; charset=utf-8`,
      "content-disposition": `attachment; filename="run-${run.id}.${format === "junit" ? "xml" : "ndjson"}"`,
    },
  });
}
