import { afterAll, beforeAll, expect, test } from "vitest";
import { type Db, openDatabase } from "../../db/client.ts";
import { databaseFault } from "../../db/faults.ts";
import { until } from "../helpers/lab.ts";
import { type TestDatabase, testDatabase } from "../helpers/postgres.ts";
import { openProxy, type TcpProxy } from "../helpers/tcp_proxy.ts";

let database: TestDatabase;
let proxy: TcpProxy;
beforeAll(async () => {
  database = await testDatabase();
  proxy = await openProxy(database.url);
});
afterAll(async () => {
  await proxy.close();
  await database.drop();
});

/** The first statement that is answered: only its rows would be behind a gap. */
async function firstAnswer(sql: Db): Promise<unknown[]> {
  const rows = await until(() => sql`select 1 as one`.catch(() => undefined), (found) => found !== undefined);
  return [...rows!];
}

test.each<[string, (pid: number) => unknown]>([
  ["its server", (pid) => database.sql`select pg_terminate_backend(${pid})`],
  ["its network", () => proxy.reset()],
])(
  "a connection that is lost by %s among the rows of an answer leaves no gap in the next answer",
  async (_by, end) => {
    const sql = openDatabase(proxy.url, { max: 1 });
    const [own] = await sql<[{ pid: number }]>`select pg_backend_pid() as pid`;
    // The rows before the last one are on their way while the server sleeps.
    const lost = sql`
    select repeat('x', 100000) as long, case when n = 5 then pg_sleep(3600) end as slept
    from generate_series(1, 5) as n`.then(() => undefined, (error) => databaseFault(error)?.status);
    await expect.poll(async () => {
      const [row] = await database.sql`select wait_event from pg_stat_activity where pid = ${own.pid}`;
      return row?.wait_event;
    }).toBe("PgSleep");
    await end(own.pid);
    expect(await lost).toBe(503);
    expect(await firstAnswer(sql)).toEqual([{ one: 1 }]);
    await sql.end();
    await database.sql`select pg_terminate_backend(${own.pid})`;
  },
);
