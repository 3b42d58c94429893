import type { Fragment } from "postgres";
import type { Queryable } from "./queryable.ts";

/**
 * A version of everything reported about builds. It changes with every transaction that changes builds: each such
 * transaction renews the lease `scan`, and so writes its row, or configures the roots. `xmin` is the transaction that
 * wrote a row.
 */
export function buildsVersion(sql: Queryable): Fragment {
  return sql`
    select concat_ws(' ',
      (select concat_ws(' ', fence, extract(epoch from expires_at), xmin) from leases where name = 'scan'),
      (select string_agg(concat_ws(' ', id, xmin), ' ' order by id) from roots)
    )`;
}

/**
 * A version of everything reported about a test's results. It changes with every transaction that changes them. Null
 * while a transaction is running that is as old as the newest write, or older: its changes could become visible without a
 * newer version.
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

/** Returns the versions by test name, without the tests whose version is null now. */
export async function findResultsVersions(sql: Queryable, tests: string[]): Promise<Map<string, string>> {
  const rows = await sql<{ name: string; version: string | null }[]>`
    select known.name, (${resultsVersion(sql, sql`known.id`)}) as version
    from unnest(${tests}::text[]) as asked (name)
    join tests as known on known.name = asked.name and known.deleted_at is null`;
  return new Map(rows.flatMap(({ name, version }) => version === null ? [] : [[name, version]]));
}
