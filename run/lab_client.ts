import { z } from "zod";
import { HubError, reasonOf } from "../errors.ts";

const TIME_LIMIT_MS = 15_000;
const MAX_BYTES = 8 << 20;

const labJob = z.object({
  serial: z.number().int().positive(),
  state: z.enum(["queued", "running", "done", "failed", "cancelled", "lost"]),
  note: z.string().max(4000).nullish(),
  // Informational, so an invalid reason does not invalidate the job.
  reason: z.string().nullish().catch(null),
});
const labPage = z.object({
  jobs: z.array(z.unknown()).max(10_000),
  nextCursor: z.string().max(1000).nullish(),
});

export interface LabJob {
  serial: number;
  state: "queued" | "running" | "done" | "failed" | "cancelled" | "lost";
  note: string;
  /** Why the job is in this state; the lab's message. */
  reason: string | null;
}

export interface LabOptions {
  /** Without a trailing slash. */
  url: string;
  /** Token for DELETE; undefined if the lab requires none. */
  token?: string | undefined;
  signal?: AbortSignal | undefined;
}

const MAX_REASON = 1000;
const MAX_PAGES = 20;

function toJob({ serial, state, note, reason }: z.infer<typeof labJob>): LabJob {
  const words = reason?.replace(/\p{Cc}/gu, " ").trim().slice(0, MAX_REASON);
  return { serial, state, note: note ?? "", reason: words || null };
}

/** Every job whose note contains `note`. @throws HubError BAD_GATEWAY if the lab's answer violates the contract */
export async function findLabJobs(lab: LabOptions, note: string): Promise<LabJob[]> {
  const found = new Map<number, LabJob>();
  let cursor: string | null = null;
  for (let count = 0; count < MAX_PAGES; count++) {
    const query = new URLSearchParams({ note, limit: "100" });
    if (cursor !== null) query.set("updatedAfter", cursor);
    const { jobs, nextCursor } = await readPage(lab, query);
    for (const job of jobs) if (job.note.includes(note)) found.set(job.serial, job);
    if (jobs.length === 0 || nextCursor === null || nextCursor === cursor) break;
    cursor = nextCursor;
  }
  return [...found.values()];
}

/** The job with a serial; undefined if the lab has no such job. @throws HubError BAD_GATEWAY for an invalid answer */
export async function findLabJob(lab: LabOptions, serial: number): Promise<LabJob | undefined> {
  const response = await ask(lab, `/jobs/${serial}`, "GET");
  const body = await readBounded(response);
  if (response.status === 404 || response.status === 410) return undefined;
  if (!response.ok) {
    throw new HubError("BAD_GATEWAY", `The lab answered ${response.status} to /jobs/${serial}.`);
  }
  const parsed = labJob.safeParse(parseJson(body, `/jobs/${serial}`));
  if (!parsed.success || parsed.data.serial !== serial) {
    throw new HubError("BAD_GATEWAY", `The lab's answer to /jobs/${serial} is not that job.`);
  }
  return toJob(parsed.data);
}

/** A page of jobs changed after `cursor`, which the lab issued; null: from the beginning. */
export async function listChangedLabJobs(
  lab: LabOptions,
  cursor: string | null,
): Promise<{ jobs: LabJob[]; nextCursor: string | null }> {
  const query = new URLSearchParams({ limit: "500" });
  if (cursor !== null) query.set("updatedAfter", cursor);
  return await readPage(lab, query);
}

/** Cancels a job in the lab. An unknown or finished job is not an error. */
export async function cancelLabJob(lab: LabOptions, serial: number): Promise<void> {
  const response = await ask(lab, `/jobs/${serial}`, "DELETE");
  await response.body?.cancel();
  if (!response.ok && ![404, 409, 410].includes(response.status)) {
    throw new HubError(
      "BAD_GATEWAY",
      `The lab refused to cancel job ${serial}: it answered ${response.status}.`,
    );
  }
}

async function readPage(
  lab: LabOptions,
  query: URLSearchParams,
): Promise<{ jobs: LabJob[]; nextCursor: string | null }> {
  const response = await ask(lab, `/jobs?${query}`, "GET");
  const body = await readBounded(response);
  if (!response.ok) throw new HubError("BAD_GATEWAY", `The lab answered ${response.status} to /jobs.`);
  const parsed = labPage.safeParse(parseJson(body, "/jobs"));
  if (!parsed.success) {
    throw new HubError(
      "BAD_GATEWAY",
      `The lab's answer to /jobs is not a page: ${z.prettifyError(parsed.error)}`,
    );
  }
  const jobs: LabJob[] = [];
  for (const one of parsed.data.jobs) {
    const job = labJob.safeParse(one);
    if (job.success) jobs.push(toJob(job.data));
  }
  return { jobs, nextCursor: parsed.data.nextCursor ?? null };
}

/** @throws HubError BAD_GATEWAY */
function parseJson(body: string, path: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    throw new HubError(
      "BAD_GATEWAY",
      `The lab's answer to ${path} is not JSON: ${JSON.stringify(body.slice(0, 80))}.`,
    );
  }
}

async function ask(lab: LabOptions, path: string, method: string): Promise<Response> {
  const limit = AbortSignal.timeout(TIME_LIMIT_MS);
  try {
    return await fetch(lab.url + path, {
      method,
      redirect: "error",
      headers: lab.token === undefined ? {} : { authorization: `Bearer ${lab.token}` },
      signal: lab.signal === undefined ? limit : AbortSignal.any([limit, lab.signal]),
    });
  } catch (error) {
    throw new HubError("BAD_GATEWAY", `The lab at ${lab.url} does not answer: ${reasonOf(error)}`, {
      cause: error,
    });
  }
}

async function readBounded(response: Response): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > MAX_BYTES) {
      throw new HubError("BAD_GATEWAY", `The lab sent more than ${MAX_BYTES} bytes to one request.`);
    }
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}
