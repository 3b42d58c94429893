import { inject } from "vitest";
import { openDatabase } from "../../db/core/client.ts";
import type { Db } from "../../db/core/queryable.ts";

export interface TestDatabase {
  sql: Db;
  url: string;
  drop(): Promise<void>;
}

/** Creates a migrated database for one test file, cloned from the run's template. */
export async function testDatabase({ max = 10 } = {}): Promise<TestDatabase> {
  const serverUrl = inject("serverUrl");
  const name = `chub_test_${crypto.randomUUID().replaceAll("-", "")}`;
  const server = openDatabase(serverUrl, { max: 1 });
  await server.unsafe(`create database ${name} template ${inject("template")}`);
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  const sql = openDatabase(url.href, { max });
  return {
    sql,
    url: url.href,
    async drop() {
      await sql.end({ timeout: 1 });
      await server.unsafe(`drop database if exists ${name} with (force)`);
      await server.end();
    },
  };
}
