import { afterAll, beforeAll, expect, test } from "vitest";
import { internCases } from "../../../db/ingest/cases.ts";
import { openDatabase } from "../../../db/core/client.ts";
import type { Db } from "../../../db/core/queryable.ts";
import { ResultSpool } from "../../../db/ingest/spool.ts";
import { type TestDatabase, testDatabase } from "../../helpers/postgres.ts";

let database: TestDatabase;
/** A single connection, so that its statistics can be queried. */
let sql: Db;
beforeAll(async () => {
  database = await testDatabase();
  sql = openDatabase(database.url, { max: 1 });
  await sql`insert into tests (name, scraper) values ('known', 'push'), ('new', 'push')`;
  await sql`insert into cases (test_id, name) select 1, 'c' || n from generate_series(1, 30000) as n`;
  await sql`analyze cases`;
});
afterAll(async () => {
  await sql.end();
  await database.drop();
});

async function fetched(): Promise<number> {
  await sql`select pg_stat_force_next_flush()`.catch(() => {});
  await sql`select pg_stat_clear_snapshot()`;
  const [row] = await sql<[{ rows: number }]>`
    select (seq_tup_read + idx_tup_fetch)::bigint as rows from pg_stat_user_tables where relname = 'cases'`;
  return row.rows;
}

test(
  "names of a test without statistics cost one index probe each, however many cases it has",
  async () => {
    const spool = new ResultSpool();
    const count = 65_000;
    for (let at = 0; at < count; at++) spool.add({ case: `new ${at}`, outcome: "passed" });
    const before = await fetched();
    await sql.begin((tx) => internCases(tx, 2, [spool]));
    expect(await fetched() - before).toBeLessThan(3 * count);
    expect(spool.caseIds.unknown).toBe(0);
    spool.dispose();
  },
);
