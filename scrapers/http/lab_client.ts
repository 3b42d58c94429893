import type { z } from "zod";
import { HubError, reasonOf } from "../../errors.ts";
import { parseLabJson, parseLabPage, reasonLine, trackedJob } from "./lab_contract.ts";

const TIME_LIMIT_MS = 15_000;
const MAX_BYTES = 8 << 20;

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

function toJob({ serial, state, note, reason }: z.infer<typeof trackedJob>): LabJob {
  return { serial, state, note: note ?? "", reason: reasonLine(reason).slice(0, MAX_REASON) || null };
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
  const parsed = trackedJob.safeParse(await parseLabJson(body, `/jobs/${serial}`));
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
  const page = await parseLabPage(body, "/jobs");
  const jobs: LabJob[] = [];
  for (const one of page.jobs) {
    const job = trackedJob.safeParse(one);
    if (job.success) jobs.push(toJob(job.data));
  }
  return { jobs, nextCursor: page.nextCursor };
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
