import { HubError } from "../../errors.ts";
import type { Queryable } from "../core/queryable.ts";

/** The prefix of a submission's note, which identifies the job in the lab. */
export interface JobMark {
  id: number;
  attempt: number;
  /** The hub's id. Another hub that submits to the same lab has jobs with the same numbers. */
  hub: string;
}

export function formatMark({ id, attempt, hub }: JobMark): string {
  return `${markStart(id)}${attempt}] [hub ${hub}]`;
}

/** The prefix of every mark of a job, whatever hub made it. It is the search text for the lab. */
export function markStart(id: number): string {
  return `[chub job ${id}.`;
}

/** Only the first mark counts: the person's note follows it and may name other jobs. */
const MARK = /\[chub job (\d{1,16})\.(\d{1,10})\](?: \[hub ([0-9a-f]{12})\])?/;

/** What distinguishes a job's own marks from those of others. */
export interface OwnMarks {
  id: number;
  hub: string;
  /** The first attempt whose note names the hub; null if none does. Hubs before migration 0011 wrote no hub id. */
  markedFrom: number | null;
}

/** Whether a note in the lab belongs to the job. */
export function isMarkOf(note: string, { id, hub, markedFrom }: OwnMarks): boolean {
  const found = MARK.exec(note);
  if (found === null || Number(found[1]) !== id) return false;
  return found[3] === undefined ? markedFrom === null || Number(found[2]) < markedFrom : found[3] === hub;
}

/** @throws HubError NOT_FOUND */
export async function getOwnMarks(sql: Queryable, id: number): Promise<OwnMarks> {
  const [row] = await sql<OwnMarks[]>`
    select jobs.id, hub.id as hub, jobs.marked_from as "markedFrom" from jobs, hub where jobs.id = ${id}`;
  if (row === undefined) throw new HubError("NOT_FOUND", `There is no job ${id}.`);
  return row;
}
