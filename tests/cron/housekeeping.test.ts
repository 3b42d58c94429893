import { afterAll, beforeAll, expect, test } from "vitest";
import { keepHouse } from "../../cron/tasks/housekeeping.ts";
import { type TestDatabase, testDatabase } from "../helpers/postgres.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await testDatabase();
});
afterAll(() => database.drop());

test("old records are deleted, except the last of each test and root", async () => {
  const { sql } = database;
  const old = "2026-01-01T00:00:00Z";
  const recent = "2026-05-30T00:00:00Z";
  await sql`insert into tests (name, scraper) values ('a', 'files'), ('b', 'files')`;
  await sql`
    insert into scrapes (test_id, state, cause, started_at) values
      (1, 'done', 'schedule', ${old}), (1, 'failed', 'schedule', ${recent}),
      (2, 'done', 'schedule', ${old}), (2, 'done', 'schedule', ${old})`;
  await sql`insert into roots (url, name) values ('file:///a', 'a')`;
  await sql`
    insert into scans (root_id, state, cause, full_read, started_at, updated_at) values
      (1, 'done', 'schedule', true, ${old}, ${old}), (1, 'done', 'schedule', true, ${old}, ${old}),
      (null, 'failed', 'schedule', true, ${old}, ${old}), (null, 'failed', 'schedule', true, ${recent}, ${recent})`;
  await sql`
    insert into idempotency_keys (scope, key, request_hash, target_id, created_at) values
      ('s', 'old', '', 0, ${old}), ('s', 'recent', '', 0, ${recent})`;
  await sql`insert into people (name, source, checked_at) values ('ada', 'directory', ${old})`;
  await sql`
    insert into sessions (hash, person, expires_at, address) values
      ('old', 'ada', ${old}, ''), ('new', 'ada', '2026-06-02T00:00:00Z', '')`;
  await sql`insert into throttles (key, points, expire) values ('old', 1, ${
    Date.parse(old)
  }), ('never', 1, null)`;
  const now = new Date("2026-06-01T00:00:00Z");
  expect(await keepHouse({ sql, config: { keepRecordsDays: 90 } }, now)).toEqual({
    scrapes: 2,
    scans: 2,
    idempotencyKeys: 1,
    sessions: 1,
    throttles: 1,
  });
  expect((await sql`select id from scrapes order by id`).map((row) => row.id)).toEqual([2, 4]);
  expect((await sql`select id from scans order by id`).map((row) => row.id)).toEqual([2, 4]);
  expect(await keepHouse({ sql, config: { keepRecordsDays: 90 } }, now)).toMatchObject({
    scrapes: 0,
    scans: 0,
  });
});
