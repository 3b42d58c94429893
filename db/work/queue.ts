import type { Db, Queryable } from "../core/queryable.ts";
import { LOCKS } from "../core/locks.ts";

/** Runs `work` while no other process on the database does. It occupies a connection of the pool meanwhile. */
export async function lockQueueSetup<T>(sql: Db, work: () => Promise<T>): Promise<T> {
  return await sql.begin(async (tx) => {
    await tx`select pg_advisory_xact_lock(${LOCKS.queueSetup})`;
    return await work();
  }) as T;
}

/**
 * Adapts the pool for pg-boss, whose scripts begin and commit their own transactions. A failed script would leave a
 * pooled connection in a failed transaction, and the connection's next statement would fail too. So the scripts run in
 * our transactions.
 */
export function createScriptClient(sql: Db) {
  return {
    unsafe: (text: string, values?: never[]) => sql.unsafe(text, values),
    listen: sql.listen,
    reserve: () =>
      Promise.resolve({
        unsafe: (script: string) => sql.begin((tx) => tx.unsafe(withinTransaction(script))),
        release: () => {},
      }),
  };
}

function withinTransaction(script: string): string {
  const text = script.trim();
  const isWhole = text.startsWith("BEGIN;") && text.endsWith("COMMIT;");
  return isWhole ? text.slice("BEGIN;".length, -"COMMIT;".length) : text;
}

export interface QueuedTask {
  id: string;
  name: string;
  state: string;
  key: string | null;
  /** The task's input; visible only to signed-in users. */
  data: unknown;
  createdAt: string;
  startAfter: string;
  startedAt: string | null;
  finishedAt: string | null;
  /** Why it failed; visible only to signed-in users. */
  error: string | null;
}

/** Lists the newest `limit` tasks in the queue, in one state or in any. The queue keeps finished tasks for a day. */
export async function listQueuedTasks(
  sql: Queryable,
  { name, state, limit }: { name?: string | undefined; state?: string | undefined; limit: number },
): Promise<QueuedTask[]> {
  const rows = await sql<
    (Omit<QueuedTask, "createdAt" | "startAfter" | "startedAt" | "finishedAt"> & Times)[]
  >`
    select id::text, name, state::text, singleton_key as key, data, created_on as "createdAt", start_after as "startAfter",
      started_on as "startedAt", completed_on as "finishedAt",
      coalesce(output ->> 'message', output #>> '{value,message}') as error
    from queue.job
    where (${name ?? null}::text is null or name = ${name ?? null})
      and (${state ?? null}::text is null or state::text = ${state ?? null})
    order by created_on desc, id
    limit ${limit}`;
  return rows.map((row) => ({
    ...row,
    createdAt: row.createdAt.toISOString(),
    startAfter: row.startAfter.toISOString(),
    startedAt: row.startedAt?.toISOString() ?? null,
    finishedAt: row.finishedAt?.toISOString() ?? null,
  }));
}

interface Times {
  createdAt: Date;
  startAfter: Date;
  startedAt: Date | null;
  finishedAt: Date | null;
}

/** Counts the tasks by name and state. */
export async function countQueuedTasks(
  sql: Queryable,
): Promise<{ name: string; state: string; count: number }[]> {
  return [
    ...await sql<{ name: string; state: string; count: number }[]>`
      select name, state::text, count(*)::int as count from queue.job group by name, state order by name, state`,
  ];
}
