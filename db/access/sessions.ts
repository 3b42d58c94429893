import type { Queryable } from "../core/queryable.ts";
import { writeIfPossible } from "../core/connection_errors.ts";
import type { PersonRow } from "./people.ts";

export interface NewSession {
  hash: Uint8Array;
  person: string;
  at: Date;
  expiresAt: Date;
  address: string;
  agent: string;
}

export async function createSession(tx: Queryable, session: NewSession): Promise<void> {
  await tx`
    insert into sessions (hash, person, created_at, last_seen_at, expires_at, address, agent)
    values (${session.hash}, ${session.person}, ${session.at}, ${session.at}, ${session.expiresAt}, ${session.address},
      ${session.agent.slice(0, 200)})`;
}

export interface SessionRow {
  person: PersonRow;
  expiresAt: Date;
}

/** Finds an unexpired session with its person, and records its use at most once a minute. */
export async function findSession(
  sql: Queryable,
  hash: Uint8Array,
  { now, idleMs }: { now: Date; idleMs: number },
): Promise<SessionRow | undefined> {
  const idleSince = new Date(now.getTime() - idleMs);
  const [row] = await sql<(PersonRow & { expiresAt: Date; lastSeenAt: Date })[]>`
    select people.name, people.source, people.groups, people.checked_at as "checkedAt", people.refused_at as "refusedAt",
      sessions.expires_at as "expiresAt", sessions.last_seen_at as "lastSeenAt"
    from sessions join people on people.name = sessions.person
    where sessions.hash = ${hash} and sessions.expires_at > ${now} and sessions.last_seen_at > ${idleSince}`;
  if (row === undefined) return undefined;
  const { expiresAt, lastSeenAt, ...person } = row;
  if (now.getTime() - lastSeenAt.getTime() > 60_000) {
    await writeIfPossible(sql`
      update sessions set last_seen_at = ${now} where hash = ${hash} and last_seen_at < ${now}`);
  }
  return { person, expiresAt };
}

export async function endSession(tx: Queryable, hash: Uint8Array): Promise<boolean> {
  return (await tx`delete from sessions where hash = ${hash}`).count > 0;
}

/** Ends all sessions of a person. Returns how many. */
export async function endSessions(tx: Queryable, person: string): Promise<number> {
  return (await tx`delete from sessions where person = ${person}`).count;
}

/** Deletes expired sessions. Returns how many. */
export async function pruneSessions(sql: Queryable, now: Date): Promise<number> {
  return (await sql`delete from sessions where expires_at < ${now}`).count;
}
