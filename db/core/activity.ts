import type { Db } from "./queryable.ts";
import type { Activity, Inquiry } from "./watch.ts";

/**
 * Asks the server about connections by their names. `open` makes a pool of one connection that is not watched, by the name
 * of its own, and returns it with a way to close it in any state.
 */
export function createInquiry(
  own: string,
  { open, limitMs }: { open(): { sql: Db; close(): void }; limitMs: number },
): Inquiry {
  async function ask<T>(work: (sql: Db) => Promise<T>): Promise<T> {
    const { sql, close } = open();
    const { promise: late, reject } = Promise.withResolvers<never>();
    const timer = setTimeout(() => reject(new Error("The server did not answer in time.")), limitMs);
    try {
      return await Promise.race([work(sql), late]);
    } finally {
      clearTimeout(timer);
      close();
    }
  }
  return {
    find: (names) => ask((sql) => findActivity(sql, own, names)),
    cancel: (names) =>
      ask(async (sql) => {
        await sql`
          select pg_cancel_backend(pid) from pg_stat_activity
          where application_name in ${
          sql(names)
        } and usename = current_user and backend_type = 'client backend'
            and state = 'active'`;
      }),
    end: (names) =>
      ask(async (sql) => {
        await sql`
          select pg_terminate_backend(pid) from pg_stat_activity
          where application_name in ${
          sql(names)
        } and usename = current_user and backend_type = 'client backend'`;
      }),
  };
}

/** Undefined if the server does not show this very connection by its name and at work: then it says nothing of others. */
async function findActivity(sql: Db, own: string, names: string[]): Promise<Activity[] | undefined> {
  const rows = await sql<(Activity & { isOwn: boolean })[]>`
    select application_name as name, pid = pg_backend_pid() as "isOwn",
      state in ('active', 'fastpath function call') and wait_event_type is distinct from 'Client' as "isWorking",
      wait_event_type is not distinct from 'Lock' as "waitsForLock"
    from pg_stat_activity
    where (application_name in ${sql(names)} and usename = current_user and backend_type = 'client backend')
      or (pid = pg_backend_pid() and application_name = ${own} and state = 'active')`;
  return rows.some((row) => row.isOwn) ? rows.filter((row) => !row.isOwn) : undefined;
}
