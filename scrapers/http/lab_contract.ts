import { z } from "zod";
import { HubError } from "../../errors.ts";
import { parseInSlices } from "../../formats/json_slices.ts";

/** What the hub needs of a lab job to follow it (docs/reference/lab-contract.md). */
export const trackedJob = z.object({
  serial: z.number().int().positive(),
  state: z.enum(["queued", "running", "done", "failed", "cancelled", "lost"]),
  note: z.string().max(4000).nullish(),
  // Free text: an invalid reason does not make the job invalid.
  reason: z.string().nullish().catch(null),
});

const text = z.string().max(2000);
/** What the hub needs of a lab job to read its results. */
export const scrapedJob = trackedJob.omit({ note: true }).extend({
  os: text.nullish(),
  machine: text.nullish(),
  pool: text.nullish(),
  packageUrl: text,
  startedAt: z.iso.datetime({ offset: true }).nullish(),
  finishedAt: z.iso.datetime({ offset: true }).nullish(),
  artifacts: z.array(z.object({ name: text, size: z.number().min(0) })).max(1000).default([]),
});
export type ScrapedJob = z.infer<typeof scrapedJob>;

const page = z.object({ jobs: z.array(z.unknown()).max(10_000), nextCursor: text.nullish() });

export interface LabPage {
  /** Not checked yet: one invalid job does not make the page invalid. */
  jobs: unknown[];
  nextCursor: string | null;
}

/** A page of the lab's jobs. `path` names the request in errors. @throws HubError BAD_GATEWAY if it is none */
export async function parseLabPage(body: string, path: string): Promise<LabPage> {
  const parsed = page.safeParse(await parseLabJson(body, path));
  if (!parsed.success) {
    throw new HubError(
      "BAD_GATEWAY",
      `The lab's answer to ${path} is not a page of jobs: ${z.prettifyError(parsed.error)}`,
    );
  }
  return { jobs: parsed.data.jobs, nextCursor: parsed.data.nextCursor ?? null };
}

/** @throws HubError BAD_GATEWAY */
export async function parseLabJson(body: string, path: string): Promise<unknown> {
  try {
    return await parseInSlices(body);
  } catch {
    throw new HubError(
      "BAD_GATEWAY",
      `The lab's answer to ${path} is not JSON: it begins ${JSON.stringify(body.slice(0, 80))}.`,
    );
  }
}

/** The lab's reason in one line, without control characters; empty if it gives none. */
export function reasonLine(reason: string | null | undefined): string {
  return reason?.replace(/\p{Cc}/gu, " ").trim() ?? "";
}
