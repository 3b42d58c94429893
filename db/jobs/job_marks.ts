import { HubError } from "../../errors.ts";
import type { Queryable } from "../core/queryable.ts";

/** What the note of a submission begins with, so that the lab's job is found again. */
export interface JobMark {
  id: number;
  attempt: number;
  /** Id of the hub: another one that submits to the same lab has jobs of the same numbers. */
  hub: string;
}

export function formatMark({ id, attempt, hub }: JobMark): string {
  return `${markStart(id)}${attempt}] [hub ${hub}]`;
}

/** The text that every mark of a job begins with, whatever hub made it: what the lab is asked for. */
export function markStart(id: number): string {
  return `[chub job ${id}.`;
}

/** The first mark counts: behind it stands the note of the person, which may name other jobs. */
const MARK = /\[chub job (\d{1,16})\.(\d{1,10})\](?: \[hub ([0-9a-f]{12})\])?/;

/** What of a note's mark shows whose it is. */
export interface OwnMarks {
  id: number;
  hub: string;
  /** The first attempt whose note names the hub; null if none does. Hubs before migration 0011 named none. */
  markedFrom: number | null;
}

/** Whether a note in the lab is one of a job's own. */
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
