import { afterEach, expect, inject, test } from "vitest";
import { openDatabase } from "../../../db/core/client.ts";
import type { Db } from "../../../db/core/queryable.ts";
import { databaseFault } from "../../../db/core/connection_errors.ts";
import { testDatabase } from "../../helpers/postgres.ts";

const pools: Db[] = [];
afterEach(async () => {
  await Promise.all(pools.splice(0).map((sql) => sql.end({ timeout: 0 })));
});

function open(url: string, max = 1): Db {
  const sql = openDatabase(url, { max });
  pools.push(sql);
  return sql;
}

/** A statement that never ends is one of the faults tested here, so each has the time limit of a test. */
const faultOf = (work: PromiseLike<unknown>) =>
  work.then(() => "no fault", (error) => databaseFault(error)?.message ?? error);

test("statements fail while a server refuses connections, also after a connection was lost during a statement", async () => {
  const database = await testDatabase();
  const name = new URL(database.url).pathname.slice(1);
  const admin = open(inject("serverUrl"), 2);
  const sql = open(database.url);
  await sql`select 1`;
  const [{ pid }] = await sql<[{ pid: number }]>`select pg_backend_pid() as pid`;
  const lost = faultOf(sql`select pg_sleep(3600)`);
  await expect.poll(async () => {
    const [row] = await admin`select query from pg_stat_activity where pid = ${pid}`;
    return row!.query;
  }).toContain("pg_sleep");
  await admin.unsafe(`alter database ${name} allow_connections false`);
  await admin`select pg_terminate_backend(${pid})`;
  expect(await lost).toContain("unavailable");
  for (let at = 0; at < 5; at++) {
    expect(await faultOf(sql`select 1`)).toContain("does not accept connections");
  }
  expect(await faultOf(sql.begin((tx) => tx`select 1`))).toContain("does not accept connections");
  await admin.unsafe(`alter database ${name} allow_connections true`);
  await expect.poll(() => faultOf(sql`select 1`)).toBe("no fault");
  expect(await sql`select 2 as two`).toEqual([{ two: 2 }]);
  await database.drop();
});

test("statements fail while a server closes connections without an error", async () => {
  using server = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  let accepted = 0;
  const serving = (async () => {
    for await (const connection of server) {
      accepted++;
      await connection.read(new Uint8Array(10_000));
      connection.close();
    }
  })();
  const sql = open(`postgres://chub@127.0.0.1:${server.addr.port}/chub`, 3);
  const faults = await Promise.all(Array.from({ length: 9 }, () => faultOf(sql`select 1`)));
  expect(faults).toEqual(Array(9).fill(expect.stringContaining("unavailable")));
  expect(accepted).toBeLessThanOrEqual(9);
  server.close();
  await serving;
});
