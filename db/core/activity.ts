import type { Db } from "./queryable.ts";
import type { Activity, Inquiry } from "./watch.ts";

/**
 * Queries the server for the state of connections by their names. `open` returns a pool of one unwatched connection named
 * `own`, and a function that closes it in any state.
 */
export function createInquiry(
  own: string,
  { open, limitMs }: { open(): { sql: Db; close(): void }; limitMs: number },
): Inquiry {
  async function query<T>(work: (sql: Db) => Promise<T>): Promise<T> {
    const { sql, close } = open();
    const { promise: late, reject } = Promise.withResolvers<never>();
    const timer = setTimeout(() => reject(new Error("The database server did not answer in time.")), limitMs);
    try {
      return await Promise.race([work(sql), late]);
    } finally {
      clearTimeout(timer);
      close();
    }
  }
  return {
    find: (names) => query((sql) => findActivity(sql, own, names)),
    cancel: (names) =>
      query(async (sql) => {
        await sql`
          select pg_cancel_backend(pid) from pg_stat_activity
          where application_name in ${
          sql(names)
        } and usename = current_user and backend_type = 'client backend'
            and state = 'active'`;
      }),
    end: (names) =>
      query(async (sql) => {
        await sql`
          select pg_terminate_backend(pid) from pg_stat_activity
          where application_name in ${
          sql(names)
        } and usename = current_user and backend_type = 'client backend'`;
      }),
  };
}

/**
 * Returns undefined if the server does not list this very connection as active under its name: then its list of the other
 * connections cannot be trusted either.
 */
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
