import { HubError, reasonOf } from "../../errors.ts";
import { readResults } from "../../formats/mod.ts";
import { environmentFilter } from "../../schemas/run.ts";
import { type PushHead, pushHead } from "../../schemas/result.ts";
import { lookUpNames, Received, storePush } from "../push.ts";
import type { Context } from "../context.ts";
import { parseInput, readQuery, rejectUnknown } from "./adapter.ts";
import { checkLength, readBody } from "./body.ts";
import { receiveFirst } from "./body_spool.ts";
import { formParts } from "./form_files.ts";
import type { RestContext, RestOnly } from "./route.ts";

const input = pushHead.extend({ environment: environmentFilter.default({}) });
/** Maximum bytes of an upload in memory. */
const UPLOAD_ROOM = 4 << 20;
const CONSUMES = [
  "application/xml",
  "application/x-ndjson",
  "text/csv",
  "text/plain",
  "application/gzip",
  "application/zip",
  "application/octet-stream",
  "multipart/form-data",
] as const;

/** `POST /api/results` with result files, raw or in a form. The run's fields are in the query, or in form fields. */
export const resultsUpload: RestOnly = {
  method: "POST",
  path: "/api/results",
  summary:
    "Accepts result files: one as the raw body, named in `X-File-Name`, or several in a form; the run's fields are in the query",
  role: "ingester",
  produces: "application/json",
  consumes: CONSUMES,
  input,
  when: (c) =>
    c.req.header("x-file-name") !== undefined ||
    !/^application\/(?:[\w.-]+\+)?json\b/i.test(c.req.header("content-type") ?? "application/json"),
  handle,
};

/** Run fields found in the files; the request's own fields take precedence. */
type FileFields = { startedAt?: string; finishedAt?: string; machine?: string };

async function handle(c: RestContext): Promise<Response> {
  const hub = c.get("hub");
  const limit = hub.config.uploadLimit;
  const fields: Record<string, string> = readQuery(c.req.url, Object.keys(input.shape));
  const contentType = c.req.header("content-type") ?? "";
  const isForm = /^multipart\/form-data/i.test(contentType);
  // Checked first, so that a request with invalid fields is rejected without reading its body.
  const head = isForm ? undefined : parseInput(input, fields);
  const length = checkLength(c.req.raw, limit);
  const chunks = readBody(c.req.raw, hub, { limit, kept: UPLOAD_ROOM });
  const body = length === undefined ? receiveFirst(chunks, hub.config.spoolDir) : chunks;
  const received = new Received(hub.config.spoolDir);
  const fileFields: FileFields = {};
  try {
    if (head !== undefined) await lookUpNames(hub, received, head.test);
    if (isForm) await readForm(hub, contentType, body, { fields, received, fileFields });
    else {await readFile(c.req.header("x-file-name") ?? nameByType(contentType), body, {
        received,
        fileFields,
        isOne: true,
      });}
    const answer = await storePush(hub, headOf(parseInput(input, fields), fileFields), received);
    return c.json(answer, hub.reply.status as 200);
  } finally {
    received.spool.dispose();
  }
}

/** Names NDJSON by content type, because its first record may be longer than the prefix used to detect formats. */
function nameByType(contentType: string): string {
  return /^application\/(?:x-)?ndjson\b/i.test(contentType) ? "results.ndjson" : "";
}

function headOf(head: PushHead, fileFields: FileFields): PushHead {
  const { startedAt = fileFields.startedAt, finishedAt = fileFields.finishedAt } = head;
  const { machine } = fileFields;
  // Parts of a merged run may come from several machines.
  const hasMachine = machine !== undefined && head.environment.machine === undefined && head.mode !== "merge";
  const environment = hasMachine ? { ...head.environment, machine } : head.environment;
  return {
    ...head,
    environment,
    ...(startedAt === undefined ? {} : { startedAt }),
    ...(finishedAt === undefined ? {} : { finishedAt }),
  };
}

interface Reading {
  received: Received;
  fileFields: FileFields;
}

function headBeforeFiles(fields: Record<string, string>): PushHead {
  try {
    return parseInput(input, fields);
  } catch (error) {
    if (!(error instanceof HubError)) throw error;
    throw new HubError(error.code, `${error.message} (In a form, fields must come before files.)`, {
      issues: error.issues,
    });
  }
}

/** Reads a form. A file that cannot be read is rejected as a whole; the others are accepted. */
async function readForm(
  hub: Context,
  contentType: string,
  body: AsyncIterable<Uint8Array>,
  { fields, ...reading }: Reading & { fields: Record<string, string> },
): Promise<void> {
  const faults: HubError[] = [];
  let files = 0;
  for await (const part of formParts(contentType, body)) {
    if (part.kind === "field") {
      rejectUnknown([part.name], Object.keys(input.shape), "field");
      if (Object.hasOwn(fields, part.name)) {
        throw new HubError("BAD_REQUEST", `The field ${part.name} is given twice; send it once.`);
      }
      fields[part.name] = part.value;
      continue;
    }
    if (++files === 1) await lookUpNames(hub, reading.received, headBeforeFiles(fields).test);
    const mark = reading.received.mark();
    try {
      await readFile(part.name, part.content, { ...reading, isOne: false });
    } catch (error) {
      const isOfFile = error instanceof HubError &&
        (error.code === "BAD_REQUEST" || error.code === "UNSUPPORTED_MEDIA_TYPE");
      if (!isOfFile) throw error;
      faults.push(error);
      await reading.received.rewind(mark);
      reading.received.reject({
        file: part.name.slice(-300),
        place: "the file",
        reason: reasonOf(error).slice(0, 500),
      });
    }
  }
  if (files === 0) throw new HubError("BAD_REQUEST", "The form contains no file.");
  if (faults.length === files) throw faults[0]!;
}

async function readFile(
  name: string,
  content: AsyncIterable<Uint8Array>,
  { received, fileFields, isOne }: Reading & { isOne: boolean },
): Promise<void> {
  let mark = received.mark();
  for await (const { file, items, begins, fault } of readResults(name, content, { keepsGood: true })) {
    if (begins) mark = received.mark();
    // A single raw file needs no name in the response.
    const where = isOne && file === name ? {} : { file: file.slice(-300) };
    if (fault !== undefined) {
      await received.rewind(mark);
      received.reject({ ...where, place: "the file", reason: reasonOf(fault).slice(0, 500) });
    }
    for (const item of items) {
      if (item.kind === "rejected") received.reject({ ...where, place: item.place, reason: item.reason });
      else if (item.kind === "note") received.note({ ...where, place: item.place, text: item.text });
      else if (item.kind === "meta") fileFields[item.key] ??= item.value;
      // Not validated: formats yield valid records, as their tests verify.
      else received.add(item.record, item.isMissing === true);
    }
    if (received.spool.isBusy) await received.spool.ready();
  }
}
