import type { Queryable } from "../core/queryable.ts";
import { unknownTest } from "./tests.ts";

/** Finds or creates the test that a push names. A deleted test is restored as a test with the scraper `push`. */
export async function ensureTest(sql: Queryable, name: string): Promise<KnownTest> {
  // Takes the lock that the run's foreign key takes a moment later: until then the test's cases must not be deleted.
  const find = () =>
    sql<KnownTest[]>`
      select id, cases_version as "casesVersion" from tests where name = ${name} and deleted_at is null
      for key share`;
  const [row] = await find();
  if (row !== undefined) return row;
  const [made] = await sql<KnownTest[]>`
    insert into tests (name, scraper) values (${name}, 'push')
    on conflict (name) do update set scraper = 'push', settings = '{}', watermark = null, failures = 0,
      deleted_at = null, enabled = true, updated_at = now()
      where tests.deleted_at is not null
    returning id, cases_version as "casesVersion"`;
  if (made !== undefined) return made;
  const [others] = await find();
  if (others === undefined) throw await unknownTest(sql, name);
  return others;
}

/** Prevents the test's cases from being renamed or deleted until the end of the transaction. */
export async function lockTest(tx: Queryable, id: number): Promise<KnownTest> {
  const [row] = await tx<[KnownTest]>`
    select id, cases_version as "casesVersion" from tests where id = ${id} for key share`;
  return row;
}

export async function getCasesVersion(sql: Queryable, id: number): Promise<number> {
  const [row] = await sql<[KnownTest]>`select cases_version as "casesVersion" from tests where id = ${id}`;
  return row.casesVersion;
}

export interface KnownTest {
  id: number;
  /** Grows whenever cases of the test are deleted or renamed. */
  casesVersion: number;
}

export async function findKnownTest(sql: Queryable, name: string): Promise<KnownTest | undefined> {
  const [row] = await sql<KnownTest[]>`
    select id, cases_version as "casesVersion" from tests where name = ${name} and deleted_at is null`;
  return row;
}
