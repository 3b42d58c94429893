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
/** Bytes of an upload that are in memory while it is read. */
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

/** `POST /api/results` with result files, raw or as the files of a form; what the run is, is in the query, or in fields. */
export const resultsUpload: RestOnly = {
  method: "POST",
  path: "/api/results",
  summary:
    "Result files may be sent as they are: one raw, its name in `X-File-Name`, or many in a form; the run's fields in the query",
  role: "ingester",
  produces: "application/json",
  consumes: CONSUMES,
  input,
  when: (c) =>
    c.req.header("x-file-name") !== undefined ||
    !/^application\/(?:[\w.-]+\+)?json\b/i.test(c.req.header("content-type") ?? "application/json"),
  handle,
};

/** What files say of their run, where the request does not. */
type Told = { startedAt?: string; finishedAt?: string; machine?: string };

async function handle(c: RestContext): Promise<Response> {
  const hub = c.get("hub");
  const limit = hub.config.uploadLimit;
  const fields: Record<string, string> = readQuery(c.req.url, Object.keys(input.shape));
  const contentType = c.req.header("content-type") ?? "";
  const isForm = /^multipart\/form-data/i.test(contentType);
  // Before the body is read: whatever it holds, it would be refused.
  const head = isForm ? undefined : parseInput(input, fields);
  const length = checkLength(c.req.raw, limit);
  const chunks = readBody(c.req.raw, hub, { limit, kept: UPLOAD_ROOM });
  const body = length === undefined ? receiveFirst(chunks, hub.config.spoolDir) : chunks;
  const received = new Received(hub.config.spoolDir);
  const told: Told = {};
  try {
    if (head !== undefined) await lookUpNames(hub, received, head.test);
    if (isForm) await readForm(hub, contentType, body, { fields, received, told });
    else {await readFile(c.req.header("x-file-name") ?? nameByType(contentType), body, {
        received,
        told,
        isOne: true,
      });}
    const answer = await storePush(hub, headOf(parseInput(input, fields), told), received);
    return c.json(answer, hub.reply.status as 200);
  } finally {
    received.spool.dispose();
  }
}

/** A record may be longer than what a file is known by. */
function nameByType(contentType: string): string {
  return /^application\/(?:x-)?ndjson\b/i.test(contentType) ? "results.ndjson" : "";
}

function headOf(head: PushHead, told: Told): PushHead {
  const { startedAt = told.startedAt, finishedAt = told.finishedAt } = head;
  const { machine } = told;
  // Pieces of one run may be of several machines.
  const isTold = machine !== undefined && head.environment.machine === undefined && head.mode !== "merge";
  const environment = isTold ? { ...head.environment, machine } : head.environment;
  return {
    ...head,
    environment,
    ...(startedAt === undefined ? {} : { startedAt }),
    ...(finishedAt === undefined ? {} : { finishedAt }),
  };
}

interface Reading {
  received: Received;
  told: Told;
}

function headBeforeFiles(fields: Record<string, string>): PushHead {
  try {
    return parseInput(input, fields);
  } catch (error) {
    if (!(error instanceof HubError)) throw error;
    throw new HubError(error.code, `${error.message} (In a form the fields come before the files.)`, {
      issues: error.issues,
    });
  }
}

/** One that cannot be read among several is rejected whole, and the others are taken. */
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
        throw new HubError("BAD_REQUEST", `${part.name} is given twice.`);
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
  if (files === 0) throw new HubError("BAD_REQUEST", "The form holds no file.");
  if (faults.length === files) throw faults[0]!;
}

async function readFile(
  name: string,
  content: AsyncIterable<Uint8Array>,
  { received, told, isOne }: Reading & { isOne: boolean },
): Promise<void> {
  let mark = received.mark();
  for await (const { file, items, begins, fault } of readResults(name, content, { keepsGood: true })) {
    if (begins) mark = received.mark();
    // The one file that was sent needs no telling which it is.
    const where = isOne && file === name ? {} : { file: file.slice(-300) };
    if (fault !== undefined) {
      await received.rewind(mark);
      received.reject({ ...where, place: "the file", reason: reasonOf(fault).slice(0, 500) });
    }
    for (const item of items) {
      if (item.kind === "rejected") received.reject({ ...where, place: item.place, reason: item.reason });
      else if (item.kind === "note") received.note({ ...where, place: item.place, text: item.text });
      else if (item.kind === "meta") told[item.key] ??= item.value;
      // Formats yield records that fit; their tests see to it.
      else received.add(item.record, item.isMissing === true);
    }
    if (received.spool.isBusy) await received.spool.ready();
  }
}
