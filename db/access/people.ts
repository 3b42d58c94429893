import type { Queryable } from "../core/queryable.ts";

/** A person who has signed in. */
export interface PersonRow {
  name: string;
  source: "directory" | "local";
  groups: string[];
  checkedAt: Date;
  refusedAt: Date | null;
}

/** Records that the directory, or the admin token, has confirmed a person. */
export async function savePerson(
  sql: Queryable,
  person: { name: string; source: "directory" | "local"; groups: string[] },
  checkedAt: Date,
): Promise<void> {
  await sql`
    insert into people (name, source, groups, checked_at)
    values (${person.name}, ${person.source}, ${person.groups}::text[], ${checkedAt})
    on conflict (name) do update set source = excluded.source, groups = excluded.groups,
      checked_at = excluded.checked_at, refused_at = null`;
}

/** Records that the directory no longer confirms a person, and ends the person's sessions. */
export async function refusePerson(tx: Queryable, name: string, at: Date): Promise<void> {
  await tx`update people set refused_at = ${at}, checked_at = ${at}, groups = '{}' where name = ${name}`;
  await tx`delete from sessions where person = ${name}`;
}
