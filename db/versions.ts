import type { Queryable } from "./client.ts";

/**
 * Changes with every transaction that changes what is told of builds: each holds the scan's lease, and so writes its row,
 * or configures the roots. `xmin` is the transaction that wrote a row.
 */
export async function findBuildsVersion(sql: Queryable): Promise<string> {
  const [row] = await sql<[{ version: string }]>`
    select concat_ws(' ',
      (select concat_ws(' ', fence, extract(epoch from expires_at), xmin) from leases where name = 'scan'),
      (select string_agg(concat_ws(' ', id, xmin), ' ' order by id) from roots)
    ) as version`;
  return row.version;
}

/**
 * Versions of tests' results by the test's name; none for a test whose newest write is not older than every transaction
 * that still runs: one of those may have begun before it, and be seen after it without a newer number.
 */
export async function findResultsVersions(sql: Queryable, tests: string[]): Promise<Map<string, string>> {
  const rows = await sql<{ name: string; version: string }[]>`
    select tests.name, concat_ws(' ', tests.id, tests.cases_version, newest.written_in) as version
    from unnest(${tests}::text[]) as asked (name)
    join tests on tests.name = asked.name and tests.deleted_at is null
    cross join lateral (
      select written_in from runs where runs.test_id = tests.id order by written_in desc limit 1
    ) as newest
    where newest.written_in < pg_snapshot_xmin(pg_current_snapshot())`;
  return new Map(rows.map((row) => [row.name, row.version]));
}
