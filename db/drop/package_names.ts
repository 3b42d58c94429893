import { parsePackage } from "../../schemas/package_name.ts";
import type { Queryable } from "../core/queryable.ts";

/** Number of packages checked at once. */
const PAGE = 10_000;

/**
 * Fills in the branch and build of packages from their names: older code did not set them for packages first named by a
 * push or a scrape. Safe in several processes at once. Returns how many it changed.
 */
export async function completePackages(sql: Queryable): Promise<number> {
  let changed = 0;
  let after = 0;
  while (true) {
    const rows = await sql<{ id: number; name: string }[]>`
      select id, name from packages where branch is null and id > ${after} order by id limit ${PAGE}`;
    const last = rows.at(-1);
    if (last === undefined) return changed;
    after = last.id;
    const parsed = rows.map(({ id, name }) => ({ id, ...parsePackage(name) })).filter((one) =>
      one.branch !== null
    );
    if (parsed.length === 0) continue;
    const updated = await sql`
      update packages set branch = named.branch, build = named.build
      from unnest(${parsed.map((one) => one.id)}::int[], ${parsed.map((one) => one.branch)}::text[], ${
      parsed.map((one) => one.build)
    }::text[]) as named (id, branch, build)
      where packages.id = named.id and packages.branch is null`;
    changed += updated.count;
  }
}
