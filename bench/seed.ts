import type { Db } from "../db/core/queryable.ts";

export const PACKAGES = 2000;
export const BUILDS = 500;
export const TESTS = 10;
const PER_RUN = 1000;
/** Number of changelists of the package with the deep list. */
const DEEP = 1_000_100;

/** Seeds 2,000 packages of 500 builds each, and one of a million. */
export async function seedBuilds(sql: Db): Promise<void> {
  await sql`insert into roots (url, name) values ('file:///drop', 'drop')`;
  await sql`
    insert into packages (name) select 'pkg-' || lpad(n::text, 4, '0') from generate_series(1, ${PACKAGES}) as n`;
  await sql`insert into packages (name) values ('deep')`;
  await sql`
    insert into builds (root_id, package_id, changelist, file, size, first_seen)
    select roots.id, packages.id, 100000 + n * 7, 'SW_' || 100000 + n * 7 || '_' || packages.name || '.tgz', n * 4096,
      timestamptz '2024-01-01' + n * interval '1 hour'
    from roots, packages, generate_series(1, ${BUILDS}) as n where packages.name <> 'deep'
    order by packages.id, n`;
  await sql`
    insert into builds (root_id, package_id, changelist, file, size, first_seen)
    select roots.id, packages.id, n, 'SW_' || n || '_deep.tgz', n, timestamptz '2024-01-01' + n * interval '1 minute'
    from roots, packages, generate_series(1, ${DEEP}) as n where packages.name = 'deep'`;
  await sql`
    insert into package_readings (root_id, package_id, mark, read_at)
    select roots.id, packages.id, '1', now() from roots, packages`;
  await sql`vacuum analyze builds, packages, package_readings`;
}

/** Seeds results up to `runs` runs of 1,000 results in each of 10 tests. */
export async function seedResults(sql: Db, runs: number): Promise<void> {
  await sql`insert into environments (keys) values ('{"os": "linux", "cpu": "x86-64"}') on conflict do nothing`;
  await sql`
    insert into tests (name, scraper) select 'test-' || lpad(n::text, 2, '0'), 'push'
    from generate_series(1, ${TESTS}) as n on conflict do nothing`;
  await sql`
    insert into cases (test_id, name)
    select tests.id, 'suite' || n % 40 || '.group' || n % 97 || '/case_' || n
    from tests, generate_series(1, ${PER_RUN}) as n on conflict do nothing`;
  const [known] = await sql<[{ most: number }]>`select coalesce(max(id), 0)::int as most from runs`;
  await sql`select ensure_results_partition(n) from generate_series(0, ${
    TESTS * runs
  }::int + 20000, 20000) as n`;
  await sql`
    insert into runs (test_id, source, external_id, axis_id, changelist, environment_id, status, counts)
    select tests.id, 'push:' || tests.name, n::text, 1, 100000 + n * 7, environments.id, 'done',
      '{"passed": 900, "failed": 100}'
    from generate_series(${known!.most / TESTS + 1}::int, ${runs}::int) as n, tests, environments`;
  await sql`
    insert into results (run_id, case_id, ordinal, outcome, changelist, duration_ms, message)
    select runs.id, cases.id, 1, case when cases.id % 10 = 7 then 3 else 1 end, runs.changelist, cases.id * 79 % 60000,
      case when cases.id % 10 = 7 then 'assertion failed: expected 0 got ' || cases.id % 255 end
    from runs join cases on cases.test_id = runs.test_id
    where runs.id > ${known!.most} order by runs.id, cases.id`;
  await sql`vacuum analyze results, runs, cases, tests`;
}
