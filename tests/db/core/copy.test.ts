import { afterAll, beforeAll, expect, test } from "vitest";
import { copyInto } from "../../../db/core/copy.ts";
import { isConnectionLost } from "../../../db/core/connection_errors.ts";
import { openDatabase } from "../../../db/core/client.ts";
import type { Queryable } from "../../../db/core/queryable.ts";
import { type TestDatabase, testDatabase } from "../../helpers/postgres.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await testDatabase();
  await database.sql`create table copied (n integer)`;
});
afterAll(() => database.drop());

function* endless(): Generator<string> {
  while (true) yield "1\n".repeat(1000);
}

async function copied(tx: Queryable, lines: Iterable<string>): Promise<void> {
  await copyInto(tx, tx.unsafe("copy copied (n) from stdin"), lines);
}

test("an error while producing rows ends the copy, and the connection stays usable", async () => {
  const sql = openDatabase(database.url, { max: 1 });
  function* broken(): Generator<string> {
    yield "1\n";
    throw new Error("no more");
  }
  for (let tries = 0; tries < 3; tries++) {
    await expect(sql.begin((tx) => copied(tx, broken()))).rejects.toThrow("no more");
  }
  await expect(sql.begin((tx) => copied(tx, ["1\n", "x\n"]))).rejects.toMatchObject({
    code: "22P02",
  });
  await sql.begin((tx) => copied(tx, ["1\n", "2\n"]));
  expect(await sql`select sum(n)::int as sum from copied`).toEqual([{ sum: 3 }]);
  await sql.end({ timeout: 1 });
});

test("a connection lost during a copy, or between statements, fails only the transaction", async () => {
  const sql = openDatabase(database.url, { max: 2, name: "lost" });
  // Not a connection on which the driver is still fetching the types of the database: losing that one is a different
  // case.
  const kill = async () =>
    (await database.sql`
      select pg_terminate_backend(pid) as done from pg_stat_activity
      where application_name like 'lost %' and (query like 'copy %' and state = 'active' or state = 'idle in transaction')
    `).length;
  const copying = sql.begin((tx) => copied(tx, endless())).catch((error: unknown) => error);
  await expect.poll(kill, { interval: 20 }).toBeGreaterThan(0);
  expect(isConnectionLost(await copying)).toBe(true);
  const between = sql.begin(async (tx) => {
    await tx`select 1`;
    await expect.poll(kill, { interval: 20 }).toBeGreaterThan(0);
    await tx`insert into copied values (100)`;
  }).catch((error: unknown) => error);
  expect(isConnectionLost(await between)).toBe(true);
  const count = () => sql`select count(*)::int as n from copied where n = 100`.catch(() => undefined);
  await expect.poll(count, { interval: 20 }).toEqual([{ n: 0 }]);
  await sql.end({ timeout: 1 });
});
