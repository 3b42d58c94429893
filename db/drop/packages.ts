import { HubError } from "../../errors.ts";
import type { Page } from "../../schemas/common.ts";
import type { DropPackage, PackageDetail, PackageList } from "../../schemas/package.ts";
import { type Author, recordAudit } from "../access/audit.ts";
import { Conditions } from "../core/conditions.ts";
import type { Db, Queryable } from "../core/queryable.ts";
import { decodeCursor, toPage } from "../core/cursor.ts";

interface PackageRow extends Omit<DropPackage, "firstSeen"> {
  firstSeen: Date;
}

function toPackage(row: PackageRow): DropPackage {
  return { ...row, firstSeen: row.firstSeen.toISOString() };
}

/** The columns probe each root once at each end of the package's available builds. */
function columns(sql: Queryable) {
  return sql`
    packages.name, packages.branch, packages.build, packages.scanned, packages.first_seen as "firstSeen",
    (
      select max(found.changelist) from roots cross join lateral (
        select changelist from builds
        where root_id = roots.id and package_id = packages.id and gone_at is null
        order by changelist desc limit 1
      ) as found where roots.configured
    ) as newest,
    (
      select min(found.changelist) from roots cross join lateral (
        select changelist from builds
        where root_id = roots.id and package_id = packages.id and gone_at is null
        order by changelist limit 1
      ) as found where roots.configured
    ) as oldest`;
}

/** Lists packages by name. */
export async function listPackages(sql: Queryable, input: PackageList): Promise<Page<DropPackage>> {
  const [after] = input.cursor === undefined ? [null] : decodeCursor(input.cursor, ["string"]);
  const { search, branch, build, scanned } = input;
  const where = new Conditions(sql)
    .given(after, (name) => sql`packages.name > ${name}`)
    .includes("packages.name", search)
    .equal("packages.branch", branch)
    .equal("packages.build", build)
    .equal("packages.scanned", scanned);
  const rows = await sql<PackageRow[]>`
    select ${columns(sql)}
    from packages
    where ${where.all}
    order by packages.name
    limit ${input.limit + 1}`;
  return toPage(rows, input.limit, toPackage, (row) => [row.name]);
}

interface ReadingRow {
  root: string;
  rootId: number;
  readAt: Date | null;
  fullAt: Date | null;
  unreadReason: string | null;
}

/** Returns a package with its counts and readings. Reasons are blank unless `showReasons`. @throws HubError NOT_FOUND */
export async function getPackage(
  sql: Queryable,
  name: string,
  { showReasons }: { showReasons: boolean },
): Promise<PackageDetail> {
  const id = await getPackageId(sql, name);
  const [row] = await sql<(PackageRow & { available: number; gone: number; builds: number })[]>`
    select ${columns(sql)}, counted.available, counted.gone, counted.builds
    from packages cross join (
      select coalesce(sum(here.n) filter (where roots.configured), 0)::int as available,
        coalesce(sum(gone.n), 0)::int as gone, coalesce(sum(here.n + gone.n), 0)::int as builds
      from roots
      cross join lateral (
        select count(*) as n from builds where root_id = roots.id and package_id = ${id} and gone_at is null
      ) as here
      cross join lateral (
        select count(*) as n from builds where root_id = roots.id and package_id = ${id} and gone_at is not null
      ) as gone
    ) as counted
    where packages.id = ${id}`;
  const readings = await sql<ReadingRow[]>`
    select roots.name as root, roots.id as "rootId", read_at as "readAt", full_at as "fullAt",
      unread_reason as "unreadReason"
    from package_readings join roots on roots.id = root_id
    where package_id = ${id} and roots.configured
    order by roots.id`;
  const { available, gone, builds, ...rest } = row!;
  return {
    ...toPackage(rest),
    builds,
    available,
    gone,
    readings: readings.map(({ readAt, fullAt, unreadReason, ...reading }) => ({
      ...reading,
      readAt: readAt?.toISOString() ?? null,
      fullAt: fullAt?.toISOString() ?? null,
      unread: unreadReason !== null,
      unreadReason: showReasons ? unreadReason : null,
    })),
  };
}

/** Sets whether scans read the package. @throws HubError NOT_FOUND */
export async function setPackageScanned(
  sql: Db,
  { name, scanned }: { name: string; scanned: boolean },
  by: Author,
): Promise<void> {
  await sql.begin(async (tx) => {
    const [before] = await tx<
      { scanned: boolean }[]
    >`select scanned from packages where name = ${name} for update`;
    if (before === undefined) throw unknownPackages([name]);
    await tx`update packages set scanned = ${scanned} where name = ${name}`;
    await recordAudit(tx, by, {
      action: "package.update",
      object: `package ${name}`,
      before,
      after: { scanned },
    });
  });
}

/** @throws HubError NOT_FOUND */
export async function getPackageId(sql: Queryable, name: string): Promise<number> {
  const [id] = await getPackageIds(sql, [name]);
  return id!;
}

/** Returns ids in the order of `names`. @throws HubError NOT_FOUND that lists every unknown name */
export async function getPackageIds(sql: Queryable, names: string[]): Promise<number[]> {
  const rows = await sql<{ id: number; name: string }[]>`
    select id, name from packages where name = any(${names})`;
  const ids = new Map(rows.map((row) => [row.name, row.id]));
  const unknown = names.filter((name) => !ids.has(name));
  if (unknown.length > 0) throw unknownPackages(unknown);
  return names.map((name) => ids.get(name)!);
}

/** Makes the error that lists all unknown packages. */
export function unknownPackages(names: string[]): HubError {
  const list = names.map((name) => JSON.stringify(name)).join(", ");
  return new HubError(
    "NOT_FOUND",
    `No scan has seen ${
      names.length === 1 ? `a package ${list}` : `the packages ${list}`
    }; /api/dvs/packages?search= finds names.`,
  );
}
