import { baseOf } from "../../schemas/location.ts";
import type { Db, Queryable } from "../core/queryable.ts";

export interface StoredRoot {
  id: number;
  name: string;
  url: string;
}

/**
 * Records the configured roots at the start of a process. Builds under all other roots become unavailable. If processes
 * have different settings, the one started last decides. Returns the roots in the given order.
 */
export async function configureRoots(
  sql: Db,
  roots: { name: string; url: string }[],
): Promise<StoredRoot[]> {
  const names = new Map(roots.map((root) => [root.url, root.name]));
  const urls = [...names.keys()];
  return await sql.begin(async (tx) => {
    // Processes that start at once would otherwise lock the rows in different orders and deadlock.
    await tx`lock table roots in share row exclusive mode`;
    await tx`update roots set configured = false where configured and url <> all(${urls})`;
    await tx`
      insert into roots (url, name, base)
      select url, name, base
      from unnest(${urls}::text[], ${[...names.values()]}::text[], ${urls.map(baseOf)}::text[])
        with ordinality as given (url, name, base, place)
      order by place
      on conflict (url) do update set name = excluded.name, base = excluded.base, configured = true
      where (roots.name, roots.base, roots.configured) is distinct from (excluded.name, excluded.base, true)`;
    const rows = await tx<StoredRoot[]>`
      select id, name, url from roots where url = any(${urls}) order by array_position(${urls}::text[], url)`;
    return [...rows];
  });
}

/**
 * Returns the roots that are still configured, in the given order; new roots count as configured. `removed`: URLs of
 * roots that a process started later with other settings has removed.
 */
export async function findConfiguredRoots(
  sql: Queryable,
  roots: { name: string; url: string }[],
): Promise<{ roots: StoredRoot[]; removed: string[] }> {
  const names = new Map(roots.map((root) => [root.url, root.name]));
  const urls = [...names.keys()];
  await sql`
    insert into roots (url, name, base)
    select url, name, base
    from unnest(${urls}::text[], ${[...names.values()]}::text[], ${urls.map(baseOf)}::text[])
      with ordinality as given (url, name, base, place)
    where not exists (select from roots where roots.url = given.url)
    order by place
    on conflict (url) do nothing`;
  const rows = await sql<(StoredRoot & { configured: boolean })[]>`
    select id, name, url, configured from roots
    where url = any(${urls}) order by array_position(${urls}::text[], url)`;
  return {
    roots: rows.filter((row) => row.configured).map(({ configured: _configured, ...root }) => root),
    removed: rows.filter((row) => !row.configured).map((row) => row.url),
  };
}

/** Returns the root of a package URL if that root is no longer in DROP_URLS and no configured root contains the URL. */
export async function findRemovedRoot(sql: Queryable, packageUrl: string): Promise<string | undefined> {
  const rows = await sql<{ url: string; configured: boolean }[]>`
    select url, configured from roots
    where starts_with(${packageUrl}, rtrim(coalesce(base, url), '/') || '/')
    order by configured desc, id limit 1`;
  return rows[0]?.configured === false ? rows[0].url : undefined;
}

/** What is known about a package before a root is scanned. */
export interface KnownPackage {
  id: number;
  name: string;
  scanned: boolean;
  /** Whether a reading of it under this root was ever started. */
  isKnown: boolean;
  mark: string | null;
  /** Time of the last complete reading under this root. */
  readAt: Date | null;
  /** Time of the last reading under this root that did not rely on the mark. */
  fullAt: Date | null;
}

/** Lists every package, with what is known about it under a root. */
export async function listKnownPackages(sql: Queryable, rootId: number): Promise<KnownPackage[]> {
  const rows = await sql<KnownPackage[]>`
    select packages.id, packages.name, packages.scanned, readings.root_id is not null as "isKnown",
      readings.mark, readings.read_at as "readAt", readings.full_at as "fullAt"
    from packages
    left join package_readings as readings on readings.root_id = ${rootId} and readings.package_id = packages.id`;
  return [...rows];
}

/** Creates missing packages. Returns ids by name. */
export async function ensurePackages(
  tx: Queryable,
  packages: { name: string; branch: string | null; build: string | null }[],
  seenAt: Date,
): Promise<Map<string, number>> {
  const names = packages.map((each) => each.name);
  const rows = await tx<{ id: number; name: string }[]>`
    with made as (
      insert into packages (name, branch, build, first_seen)
      select given.name, given.branch, given.build, ${seenAt}
      from unnest(${names}::text[], ${packages.map((each) => each.branch)}::text[], ${
    packages.map((each) => each.build)
  }::text[]) as given (name, branch, build)
      on conflict do nothing
      returning id, name
    )
    select id, name from made union all select id, name from packages where name = any(${names})`;
  return new Map(rows.map((row) => [row.name, row.id]));
}
