import type { Queryable } from "../core/queryable.ts";

/** Records that a schedule entry did its work. */
export async function recordTick(sql: Queryable, name: string): Promise<void> {
  await sql`
    insert into cron_ticks (name, last_at) values (${name}, now())
    on conflict (name) do update set last_at = excluded.last_at`;
}

/** Returns the last time of each schedule entry. */
export async function listTicks(sql: Queryable): Promise<Map<string, Date>> {
  const rows = await sql<{ name: string; lastAt: Date }[]>`select name, last_at as "lastAt" from cron_ticks`;
  return new Map(rows.map((row) => [row.name, row.lastAt]));
}
