import { HubError } from "../../errors.ts";
import {
  type Build,
  type ChangelistDetail,
  MAX_BUILDS_SHOWN,
  type NearestBuild,
  type NearestQuery,
} from "../../schemas/build.ts";
import { locationOf } from "../../schemas/location.ts";
import type { Queryable } from "../core/queryable.ts";
import { getPackageId } from "./packages.ts";

interface BuildRow extends Omit<Build, "location" | "firstSeen" | "lastSeen" | "goneAt"> {
  url: string;
  firstSeen: Date;
  lastSeen: Date;
  goneAt: Date | null;
}

function toBuild({ url, firstSeen, lastSeen, goneAt, ...row }: BuildRow): Build {
  return {
    ...row,
    location: locationOf(url, row.package, row.file),
    firstSeen: firstSeen.toISOString(),
    lastSeen: lastSeen.toISOString(),
    goneAt: goneAt?.toISOString() ?? null,
  };
}

/** Selects a package's builds at a changelist, best first: available builds before others, then the newest revision. */
function buildsAt(sql: Queryable, packageId: number, changelist: number) {
  return sql`
    select packages.name as package, builds.changelist, builds.revision, builds.file, roots.name as root, roots.url,
      builds.size, builds.first_seen as "firstSeen", builds.gone_at as "goneAt",
      case when builds.gone_at is null then greatest(builds.first_seen, readings.read_at)
        else coalesce(builds.last_seen, builds.first_seen) end as "lastSeen",
      builds.gone_at is null and roots.configured as available
    from roots
    join builds on builds.root_id = roots.id
    join packages on packages.id = builds.package_id
    left join package_readings as readings
      on readings.root_id = builds.root_id and readings.package_id = builds.package_id
    where builds.package_id = ${packageId} and builds.changelist = ${changelist}
    order by available desc, builds.revision desc, roots.id, builds.file collate "C"`;
}

/**
 * Returns every build of a package at a changelist.
 * @throws HubError NOT_FOUND that names the nearest available builds
 */
export async function getChangelist(
  sql: Queryable,
  { name, changelist }: { name: string; changelist: number },
): Promise<ChangelistDetail> {
  const packageId = await getPackageId(sql, name);
  const rows = await sql<BuildRow[]>`
    ${buildsAt(sql, packageId, changelist)} limit ${MAX_BUILDS_SHOWN}`;
  if (rows.length === 0) {
    throw new HubError(
      "NOT_FOUND",
      `The package ${name} has no build at changelist ${changelist}; ${await describeNearest(
        sql,
        packageId,
        changelist,
      )}.`,
    );
  }
  const builds = rows.map(toBuild);
  return { package: name, changelist, available: builds[0]!.available, builds };
}

/** Returns the available build nearest to a changelist. @throws HubError NOT_FOUND */
export async function getNearest(
  sql: Queryable,
  { name, changelist, direction }: NearestQuery,
): Promise<NearestBuild> {
  const packageId = await getPackageId(sql, name);
  const { before, after } = await nearest(sql, packageId, changelist);
  const isBefore = direction === "before" ||
    direction === "either" && before !== null &&
      (after === null || changelist - before <= after - changelist);
  const found = isBefore ? before : after;
  const best = found === null ? undefined : await findBestBuild(sql, packageId, found);
  if (best === undefined) {
    const side = direction === "either" ? "" : ` at or ${direction} changelist ${changelist}`;
    throw new HubError(
      "NOT_FOUND",
      `The package ${name} has no available build${side}; ${describe(before, after)}.`,
    );
  }
  return { ...best, distance: Math.abs(best.changelist - changelist) };
}

/**
 * Returns the build to run for a package at a changelist: the newest available revision.
 * @throws HubError NOT_FOUND that names the nearest available builds
 */
export async function getBuildFor(
  sql: Queryable,
  packageName: string,
  changelist: number,
): Promise<Build & { packageId: number }> {
  const packageId = await getPackageId(sql, packageName);
  const best = await findBestBuild(sql, packageId, changelist);
  if (best !== undefined) return { ...best, packageId };
  throw new HubError(
    "NOT_FOUND",
    `The package ${packageName} has no available build at changelist ${changelist}; ${await describeNearest(
      sql,
      packageId,
      changelist,
    )}.`,
  );
}

/**
 * Returns the locations of the builds to run at several changelists, chosen as in `getBuildFor`, without changelists that
 * have none.
 */
export async function findBuildsFor(
  sql: Queryable,
  packageName: string,
  changelists: readonly number[],
): Promise<{ packageId: number; locations: Map<number, string> }> {
  const packageId = await getPackageId(sql, packageName);
  const rows = await sql<{ changelist: number; url: string; file: string }[]>`
    select distinct on (builds.changelist) builds.changelist, roots.url, builds.file
    from roots join builds on builds.root_id = roots.id
    where roots.configured and builds.package_id = ${packageId} and builds.changelist = any(${[
    ...changelists,
  ]}::int[])
      and builds.gone_at is null
    order by builds.changelist, builds.revision desc, roots.id, builds.file collate "C"`;
  const locations = new Map(rows.map((row) => [row.changelist, locationOf(row.url, packageName, row.file)]));
  return { packageId, locations };
}

async function findBestBuild(
  sql: Queryable,
  packageId: number,
  changelist: number,
): Promise<Build | undefined> {
  const [row] = await sql<BuildRow[]>`${buildsAt(sql, packageId, changelist)} limit 1`;
  return row?.available ? toBuild(row) : undefined;
}

/** Finds the nearest changelists at or before, and at or after, with an available build. */
async function nearest(
  sql: Queryable,
  packageId: number,
  changelist: number,
): Promise<{ before: number | null; after: number | null }> {
  const [row] = await sql<{ before: number | null; after: number | null }[]>`
    select max(below.changelist) as before, min(above.changelist) as after
    from roots
    left join lateral (
      select changelist from builds
      where root_id = roots.id and package_id = ${packageId} and gone_at is null and changelist <= ${changelist}
      order by changelist desc limit 1
    ) as below on true
    left join lateral (
      select changelist from builds
      where root_id = roots.id and package_id = ${packageId} and gone_at is null and changelist >= ${changelist}
      order by changelist limit 1
    ) as above on true
    where roots.configured`;
  return row!;
}

async function describeNearest(sql: Queryable, packageId: number, changelist: number): Promise<string> {
  const { before, after } = await nearest(sql, packageId, changelist);
  return describe(before, after);
}

function describe(before: number | null, after: number | null): string {
  if (before === null && after === null) return "it has no available build at all";
  if (before !== null && before === after) return `an available one is at ${before}`;
  return `the nearest available before is ${before ?? "none"}, after is ${after ?? "none"}`;
}
