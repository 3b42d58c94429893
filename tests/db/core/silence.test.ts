import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { openDatabase, type OpenOptions } from "../../../db/core/client.ts";
import type { Db } from "../../../db/core/queryable.ts";
import { copyInto } from "../../../db/core/copy.ts";
import { databaseFault } from "../../../db/core/connection_errors.ts";
import { DEFAULT_LIMITS, judge } from "../../../db/core/watch.ts";
import { type TestDatabase, testDatabase } from "../../helpers/postgres.ts";
import { openProxy, type TcpProxy } from "../../helpers/tcp_proxy.ts";

let database: TestDatabase;
let proxy: TcpProxy;
let pools: Db[] = [];
beforeAll(async () => {
  database = await testDatabase();
  proxy = await openProxy(database.url);
  await database.sql`create table written (n integer)`;
});
afterEach(async () => {
  await Promise.all(pools.map((sql) => sql.end({ timeout: 0 })));
  pools = [];
  proxy.freezesNew = false;
  await database.sql`truncate written`;
});
afterAll(async () => {
  await proxy.close();
  await database.drop();
});

function open(options: OpenOptions = {}): Db {
  const sql = openDatabase(proxy.url, { limits: { askMs: 300 }, ...options });
  pools.push(sql);
  return sql;
}

/** Opens a pool and uses every connection once. */
async function warm(sql: Db, count: number): Promise<Db> {
  await Promise.all(Array.from({ length: count }, () => sql`select pg_sleep(0.05)`));
  return sql;
}

const faultOf = (work: PromiseLike<unknown>) =>
  work.then(() => "no fault", (error) => databaseFault(error)?.status ?? error);

test("silent connections fail their queries, and later queries succeed", async () => {
  const sql = await warm(open({ max: 5 }), 5);
  expect(proxy.freeze()).toBeGreaterThanOrEqual(5);
  // Two connections are in use, the others idle: none of them answers the next query.
  const asked = [
    faultOf(sql`select 1`),
    faultOf(sql`insert into written values (1)`),
    faultOf(sql.begin(async (tx) => {
      await tx`insert into written values (2)`;
    })),
  ];
  expect(await Promise.all(asked)).toEqual([503, 503, 503]);
  for (let at = 0; at < 20; at++) await sql`insert into written values (3)`;
  // Statements that never arrived were not sent again.
  expect(await sql`select n, count(*)::int from written group by n`).toEqual([{ n: 3, count: 20 }]);
});

test("a commit whose answer is lost is done once, and its error is a 503", async () => {
  const sql = await warm(open({ max: 2 }), 2);
  const outcome = faultOf(sql.begin(async (tx) => {
    await tx`insert into written values (1)`;
    // The last statement before the commit takes until all is frozen.
    const sleeping = tx`select pg_sleep(0.3)`.execute();
    proxy.freeze();
    await sleeping;
  }));
  expect(await outcome).toBe(503);
  const [row] = await sql`select count(*)::int as count from written`;
  expect(row!.count).toBeLessThanOrEqual(1);
});

test("the locks of a silent transaction are freed, and its work is undone", async () => {
  await database.sql`insert into written values (0)`;
  const sql = await warm(open({ max: 2 }), 2);
  const outcome = faultOf(sql.begin(async (tx) => {
    await tx`update written set n = n + 1`;
    proxy.freeze();
    await tx`update written set n = n + 1`;
  }));
  expect(await outcome).toBe(503);
  await sql`update written set n = n + 10`;
  expect(await sql`select n from written`).toEqual([{ n: 10 }]);
});

test("a copy that falls silent ends, while its rows are sent and at its end", async () => {
  const sql = open({ max: 2 });
  function* rows(count: number): Generator<string> {
    for (let at = 0; at < count; at++) {
      if (at === 3) proxy.freeze();
      yield "1\n".repeat(100_000);
    }
  }
  for (const count of [4, 100]) {
    const copying = sql.begin((tx) => copyInto(tx, tx.unsafe("copy written (n) from stdin"), rows(count)));
    expect([count, await faultOf(copying)]).toEqual([count, 503]);
  }
  await sql.begin((tx) => copyInto(tx, tx.unsafe("copy written (n) from stdin"), "7\n"));
  expect(await sql`select n from written`).toEqual([{ n: 7 }]);
});

test("slow statements and large transfers are not mistaken for silent connections", async () => {
  const sql = open({ max: 4, limits: { askMs: 1000 } });
  const text = "x".repeat(30_000_000);
  const [slept, long, many] = await Promise.all([
    sql`select pg_sleep(4)::text as done`,
    sql`select length(${text}) as length`,
    sql`select n from generate_series(1, 200000) as n`,
    sql.begin(async (tx) => {
      await tx`select pg_sleep(1)`;
      await new Promise((resolve) => setTimeout(resolve, 1500));
      await tx`insert into written values (1)`;
    }),
  ]);
  expect([slept.length, long[0]!.length, many.length]).toEqual([1, text.length, 200_000]);
  expect(await sql`select n from written`).toEqual([{ n: 1 }]);
});

test("a statement that waits for a lock, or works for too long, is cancelled", async () => {
  const sql = open({ max: 3, limits: { askMs: 100, lockMs: 500, statementMs: 500 } });
  await sql`insert into written values (0)`;
  await database.sql.begin(async (tx) => {
    await tx`update written set n = 1`;
    expect(await faultOf(sql`update written set n = 2`)).toBe(503);
  });
  expect(await faultOf(sql`select pg_sleep(600)`)).toBe(503);
  expect(await sql`select n from written`).toEqual([{ n: 1 }]);
});

test("queries fail while a server answers on no connection, and succeed once it answers", async () => {
  const sql = await warm(open({ max: 2, limits: { askMs: 100, answerMs: 300, unreachableMs: 400 } }), 2);
  proxy.freezesNew = true;
  proxy.freeze();
  expect(await Promise.all([faultOf(sql`select 1`), faultOf(sql`select 1`)])).toEqual([503, 503]);
  proxy.freezesNew = false;
  await expect.poll(() => faultOf(sql`select 1`)).toBe("no fault");
});

test("a connection that the driver ends is closed even if its server never answers", async () => {
  const sql = await warm(open({ max: 1 }), 1);
  proxy.freeze();
  // Ends the idle connection in order, which waits for the server's end; the pool has no other.
  void (sql as unknown as { close(): Promise<void> }).close();
  expect(await sql`select 1 as one`).toEqual([{ one: 1 }]);
});

test("a query sent at the moment of a reset ends, as do later ones", async () => {
  const sql = await warm(open({ max: 1 }), 1);
  for (let round = 0; round < 5; round++) {
    const first = faultOf(sql`select pg_sleep(60)`);
    await expect.poll(async () =>
      (await database
        .sql`select from pg_stat_activity where query = 'select pg_sleep(60)' and state = 'active'`)
        .length
    ).toBe(1);
    const second = first.then(() => faultOf(sql`select 1`));
    proxy.reset();
    expect(await first).toBe(503);
    // Lost with the connection, or done on the next one.
    expect([503, "no fault"]).toContain(await second);
    await expect.poll(() => faultOf(sql`select 1`)).toBe("no fault");
    await database
      .sql`select pg_terminate_backend(pid) from pg_stat_activity where query = 'select pg_sleep(60)'`;
  }
});

test("connections have names, limited to what Postgres keeps unchanged", async () => {
  const sql = open({ name: "näme ".repeat(20) });
  const [row] = await sql`select current_setting('application_name') as name`;
  expect(row!.name).toMatch(/^(?:n\?me ){8} [0-9a-f]{8}-1$/);
});

test("judge: the decision about a silent connection, by the server's report", () => {
  const working = { name: "a", isWorking: true, waitsForLock: false };
  const limits = { ...DEFAULT_LIMITS, unreachableMs: 10, unknownMs: 20, lockMs: 30, statementMs: 40 };
  const verdict = (silentMs: number, found: Parameters<typeof judge>[1], name = "a") =>
    judge({ name, silentMs }, found, limits);
  expect([verdict(10, "unreachable"), verdict(11, "unreachable")]).toEqual(["wait", "destroy"]);
  // Behind a pooler that does not pass on connection names.
  expect([verdict(20, undefined), verdict(21, undefined)]).toEqual(["wait", "destroy"]);
  expect([verdict(20, [working], ""), verdict(21, [working], "")]).toEqual(["wait", "destroy"]);
  expect([verdict(1, []), verdict(1, [{ ...working, isWorking: false }])]).toEqual(["suspect", "suspect"]);
  expect([verdict(40, [working]), verdict(41, [working])]).toEqual(["wait", "cancel"]);
  const locked = [{ ...working, waitsForLock: true }];
  expect([verdict(30, locked), verdict(31, locked)]).toEqual(["wait", "cancel"]);
});

test("connections that were opened while the database was read-only are replaced", async () => {
  const { pathname } = new URL(database.url);
  const name = pathname.slice(1);
  const server = await database.sql.reserve();
  const setReadOnly = (to: string) =>
    server.unsafe(`alter database ${name} set default_transaction_read_only = ${to}`);
  try {
    await setReadOnly("on");
    const sql = await warm(open({ max: 3 }), 3);
    const write = () => faultOf(sql`insert into written values (1)`);
    expect(await write()).toBe(503);
    await setReadOnly("off");
    // The connections stay read-only: each rejects writes.
    await expect.poll(write, { timeout: 60_000, interval: 100 }).toBe("no fault");
    // None of the old connections is left.
    for (let at = 0; at < 20; at++) expect(await write()).toBe("no fault");
  } finally {
    await setReadOnly("off");
    server.release();
  }
});

test("a lost reserved connection is not reused", async () => {
  const sql = open({ max: 2 });
  for (const end of ["server", "network"] as const) {
    const reserved = await sql.reserve();
    const [backend] = await reserved`select pg_backend_pid() as pid`;
    const script = faultOf(reserved.unsafe("begin; select pg_sleep(60); commit"));
    await expect.poll(async () =>
      (await database.sql`
        select from pg_stat_activity where pid = ${backend!.pid} and wait_event = 'PgSleep'`).length
    ).toBe(1);
    if (end === "server") await database.sql`select pg_terminate_backend(${backend!.pid})`;
    else proxy.reset();
    expect(await script).toBe(503);
    reserved.release();
    // An error outside any promise would end the process.
    for (let at = 0; at < 5; at++) await sql`select 1`.catch(() => {});
    expect(await sql`select 1 as n`).toEqual([{ n: 1 }]);
  }
});
