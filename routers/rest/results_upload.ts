import { z } from "zod";
import { HubError } from "../../errors.ts";
import { detectFormat, splitHead } from "../../scrapers/formats/mod.ts";
import { environmentFilter } from "../../schemas/run.ts";
import { resultRecord } from "../../schemas/record.ts";
import { pushHead } from "../../schemas/result.ts";
import { type CheckedResults, reject, storePush } from "../results.ts";
import { readQuery } from "./adapter.ts";
import { boundedBody, tooLarge } from "./body.ts";
import type { RestContext, RestOnly } from "./route.ts";

const MAX_RESULTS = 1_000_000;
const input = pushHead.extend({ environment: environmentFilter.default({}) });
const CONSUMES = [
  "application/xml",
  "text/plain",
  "application/octet-stream",
  "multipart/form-data",
] as const;

/** `POST /api/results` with a result file, raw or as the one file of a form; what the run is, is in the query. */
export const resultsUpload: RestOnly = {
  method: "POST",
  path: "/api/results",
  summary:
    "A result file may be sent as it is, its name in `X-File-Name`, with the run's fields in the query",
  role: "ingester",
  produces: "application/json",
  consumes: CONSUMES,
  input,
  when: (c) =>
    !/^application\/(?:[\w.-]+\+)?json\b/i.test(c.req.header("content-type") ?? "application/json"),
  handle,
};

async function handle(c: RestContext): Promise<Response> {
  const hub = c.get("hub");
  const parsed = input.safeParse(readQuery(c.req.url, Object.keys(input.shape)));
  if (!parsed.success) {
    throw new HubError("BAD_REQUEST", `The input does not fit: ${z.prettifyError(parsed.error)}`, {
      issues: parsed.error.issues.map((issue) => ({ path: issue.path.join("."), message: issue.message })),
    });
  }
  const file = await fileOf(c, hub.config.uploadLimit);
  const { head, all } = await splitHead(file.content);
  const checked: CheckedResults = { results: [], rejected: [], rejectedCount: 0 };
  let startedAt = parsed.data.startedAt;
  for await (const item of detectFormat(file.name, head).parse(all)) {
    if (item.kind === "rejected") reject(checked, item.place, item.reason);
    else if (item.kind === "meta") {
      if (item.key === "startedAt" && startedAt === undefined && !Number.isNaN(Date.parse(item.value))) {
        startedAt = new Date(item.value).toISOString();
      }
    } else {
      const record = resultRecord.safeParse(item.record);
      if (record.success) checked.results.push(record.data);
      else reject(checked, item.record.case, record.error.issues[0]!.message);
    }
    if (checked.results.length > MAX_RESULTS) {
      throw new HubError("PAYLOAD_TOO_LARGE", `The file has more than ${MAX_RESULTS} results.`);
    }
  }
  const answer = await storePush(
    hub,
    { ...parsed.data, ...(startedAt === undefined ? {} : { startedAt }) },
    checked,
  );
  return c.json(answer, hub.reply.status as 200);
}

async function fileOf(
  c: RestContext,
  limit: number,
): Promise<{ name: string; content: AsyncIterable<Uint8Array> }> {
  if (Number(c.req.header("content-length") ?? 0) > limit) throw tooLarge(limit);
  const bounded = boundedBody(c.req.raw.body, limit);
  if (!/^multipart\/form-data/i.test(c.req.header("content-type") ?? "")) {
    return { name: c.req.header("x-file-name") ?? "", content: bounded };
  }
  const body = ReadableStream.from(bounded) as ReadableStream<Uint8Array<ArrayBuffer>>;
  const form = await new Response(body, { headers: { "content-type": c.req.header("content-type")! } })
    .formData().catch((error) => {
      if (error instanceof HubError) throw error;
      throw new HubError("BAD_REQUEST", "The form cannot be read.");
    });
  const files = [...form.values()].filter((value) => value instanceof File);
  if (files.length !== 1) {
    throw new HubError("BAD_REQUEST", `The form must hold one file (now: ${files.length}).`);
  }
  return { name: c.req.header("x-file-name") ?? files[0]!.name, content: files[0]!.stream() };
}
