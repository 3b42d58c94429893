import { fromBunSql } from "pg-boss";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openDatabase } from "../../../db/core/client.ts";
import type { Db } from "../../../db/core/queryable.ts";
import { createScriptClient } from "../../../db/work/queue.ts";
import { type TestDatabase, testDatabase } from "../../helpers/postgres.ts";

let database: TestDatabase;
let sql: Db;
beforeAll(async () => {
  database = await testDatabase();
  sql = openDatabase(database.url, { max: 1 });
  await sql`create table kept (n integer)`;
});
afterAll(async () => {
  await sql.end();
  await database.drop();
});

const run = (script: string) => fromBunSql(createScriptClient(sql) as never).executeSql(script);

test("a failed pg-boss script leaves no connection in a failed transaction", async () => {
  await expect(run("\n BEGIN;\n insert into kept values (1);\n select 1 / 0;\n COMMIT;\n "))
    .rejects.toThrow("division by zero");
  expect(await sql`select n from kept`).toEqual([]);
  await expect(run("BEGIN; select broken")).rejects.toThrow("broken");
  expect(await sql`select n from kept`).toEqual([]);
});

test("a successful script is committed, and returns its rows", async () => {
  const { rows } = await run(
    "\n BEGIN;\n SET LOCAL lock_timeout = 30000;\n insert into kept values (2) returning n;\n COMMIT;\n ",
  );
  expect(rows).toEqual([{ n: 2 }]);
  expect(await database.sql`select n from kept`).toEqual([{ n: 2 }]);
  const [row] = await sql`show lock_timeout`;
  expect(row).toEqual({ lock_timeout: "0" });
});

test("a script whose connection is lost fails, and the next one works", async () => {
  const lost = run("BEGIN; select pg_sleep(3600); COMMIT;").then(() => "no fault", () => "failed");
  await expect.poll(async () => {
    const found = await database.sql`
      select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and wait_event = 'PgSleep'`;
    return found.length;
  }).toBe(1);
  expect(await lost).toBe("failed");
  await expect.poll(() => run("BEGIN; select 3 as n; COMMIT;").then(({ rows }) => rows, () => [])).toEqual([{
    n: 3,
  }]);
});
