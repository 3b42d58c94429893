import type { Fragment } from "postgres";
import type { Queryable } from "./queryable.ts";

/**
 * Changes with every transaction that changes what is told of builds: each holds the scan's lease, and so writes its row,
 * or configures the roots. `xmin` is the transaction that wrote a row.
 */
export function buildsVersion(sql: Queryable): Fragment {
  return sql`
    select concat_ws(' ',
      (select concat_ws(' ', fence, extract(epoch from expires_at), xmin) from leases where name = 'scan'),
      (select string_agg(concat_ws(' ', id, xmin), ' ' order by id) from roots)
    )`;
}

/**
 * Changes with every transaction that changes what is told of a test's results. Null while the newest write is not older
 * than every transaction that still runs: one of those may have begun before it, and be seen after it without a newer number.
 */
export function resultsVersion(sql: Queryable, testId: Fragment): Fragment {
  return sql`
    select concat_ws(' ', tests.id, tests.cases_version, newest.written_in)
    from tests cross join lateral (
      select written_in from runs where runs.test_id = tests.id order by written_in desc limit 1
    ) as newest
    where tests.id = ${testId} and newest.written_in < pg_snapshot_xmin(pg_current_snapshot())`;
}

export async function findBuildsVersion(sql: Queryable): Promise<string> {
  const [row] = await sql<[{ version: string }]>`select (${buildsVersion(sql)}) as version`;
  return row.version;
}

/** By the test's name; none for those of which it cannot be told now. */
export async function findResultsVersions(sql: Queryable, tests: string[]): Promise<Map<string, string>> {
  const rows = await sql<{ name: string; version: string | null }[]>`
    select known.name, (${resultsVersion(sql, sql`known.id`)}) as version
    from unnest(${tests}::text[]) as asked (name)
    join tests as known on known.name = asked.name and known.deleted_at is null`;
  return new Map(rows.flatMap(({ name, version }) => version === null ? [] : [[name, version]]));
}
