import { HubError } from "../../errors.ts";
import type { Queryable } from "../core/queryable.ts";
import { copyInto, copyValue } from "../core/copy.ts";

/** Builds found by a scan, one array per column, as `unnest` takes them. */
export interface BuildColumns {
  packageIds: number[];
  changelists: number[];
  revisions: number[];
  files: string[];
  /** Bytes. */
  sizes: (number | null)[];
}

/** Options for writing builds. */
export interface WriteOptions {
  /** Time of the reading. */
  seenAt: Date;
  /** Called once all builds are sent and only the server has work left. */
  onSending?: (() => void) | undefined;
}

export interface BuildChanges {
  added: number;
  gone: number;
  back: number;
}

/**
 * Adds builds of packages that have none under this root yet, so without comparing. Returns how many. Fails if a build
 * occurs twice (see `isRepeat`): checking for duplicates would make a first scan 50% slower.
 */
export async function addBuilds(
  tx: Queryable,
  rootId: number,
  found: BuildColumns,
  { seenAt, onSending }: WriteOptions,
): Promise<number> {
  const seen = seenAt.toISOString();
  const { packageIds, changelists, revisions, files, sizes } = found;
  const lines = files.map((file, at) =>
    `${rootId}\t${packageIds[at]}\t${changelists[at]}\t${revisions[at]}\t${copyValue(file)}\t${
      sizes[at] ?? "\\N"
    }\t${seen}\n`
  );
  const copy = tx`
    copy builds (root_id, package_id, changelist, revision, file, size, first_seen) from stdin`;
  await copyInto(tx, copy, lines.join(""), onSending);
  return files.length;
}

/** Whether an error may mean that `addBuilds` got a build twice; `mergeBuilds` accepts duplicates. */
export function isRepeat(error: unknown): boolean {
  const code = (error as { code?: unknown } | null)?.code;
  return code === "23505" || code === "25P02";
}

/**
 * Updates the builds of known packages from a reading: adds new builds, clears `gone_at` of builds that came back, and
 * marks missing builds of `completeIds` (the packages read completely) as gone. Unchanged builds are not written.
 */
export async function mergeBuilds(
  tx: Queryable,
  rootId: number,
  { found, completeIds }: { found: BuildColumns; completeIds: number[] },
  { seenAt, onSending }: WriteOptions,
): Promise<BuildChanges> {
  const ids = [...new Set([...found.packageIds, ...completeIds])];
  await joinInBulk(tx);
  const merging = tx<[BuildChanges]>`
    with found as materialized (
      select * from ${columnsOf(tx, found)}
    ), added as (
      insert into builds (root_id, package_id, changelist, revision, file, size, first_seen)
      select ${rootId}, found.package_id, found.changelist, found.revision, found.file, found.size, ${seenAt}
      from found
      where not exists (
        select from builds
        where builds.root_id = ${rootId} and builds.package_id = any(${ids}::integer[])
          and builds.package_id = found.package_id and builds.changelist = found.changelist
          and builds.revision = found.revision and builds.file = found.file
      )
      on conflict do nothing
      returning package_id
    ), back as (
      update builds set gone_at = null, last_seen = null, size = coalesce(found.size, builds.size)
      from found
      where builds.root_id = ${rootId} and builds.package_id = any(${ids}::integer[]) and builds.gone_at is not null
        and builds.package_id = found.package_id and builds.changelist = found.changelist
        and builds.revision = found.revision and builds.file = found.file
      returning builds.package_id
    ), resized as (
      update builds set size = found.size
      from found
      where builds.root_id = ${rootId} and builds.package_id = any(${ids}::integer[]) and builds.gone_at is null
        and builds.package_id = found.package_id and builds.changelist = found.changelist
        and builds.revision = found.revision and builds.file = found.file
        and found.size is not null and builds.size is distinct from found.size
    ), gone as (
      update builds set gone_at = ${seenAt}, last_seen = greatest(builds.first_seen, readings.read_at)
      from package_readings as readings
      where readings.root_id = ${rootId} and readings.package_id = builds.package_id
        and builds.root_id = ${rootId} and builds.package_id = any(${completeIds}::integer[]) and builds.gone_at is null
        and not exists (
          select from found
          where builds.package_id = found.package_id and builds.changelist = found.changelist
            and builds.revision = found.revision and builds.file = found.file
        )
      returning builds.package_id
    )
    select (select count(*)::int from added) as added, (select count(*)::int from gone) as gone,
      (select count(*)::int from back) as back`.execute();
  onSending?.();
  const [changes] = await merging;
  return changes;
}

/** Marks every build of these packages gone, for packages whose empty listing is believed. Returns how many. */
export async function markBuildsGone(
  tx: Queryable,
  rootId: number,
  packageIds: number[],
  seenAt: Date,
): Promise<number> {
  const gone = await tx`
    update builds set gone_at = ${seenAt}, last_seen = greatest(builds.first_seen, readings.read_at)
    from package_readings as readings
    where readings.root_id = ${rootId} and readings.package_id = builds.package_id
      and builds.root_id = ${rootId} and builds.package_id = any(${packageIds}::integer[]) and builds.gone_at is null`;
  return gone.count;
}

/** Records the builds that a batch saw, for packages that span several batches. */
export async function recordSeen(tx: Queryable, rootId: number, found: BuildColumns): Promise<void> {
  await tx`
    insert into seen_builds (root_id, package_id, changelist, revision, file)
    select ${rootId}, found.package_id, found.changelist, found.revision, found.file from ${
    columnsOf(tx, found)
  }`;
}

/**
 * Marks the builds of a package gone that no batch of its reading saw, and deletes the reading's records. Returns how
 * many.
 * @throws HubError CONFLICT if the number of records is not `expected`: an unlogged table is empty after a crash
 */
export async function markUnseenGone(
  tx: Queryable,
  rootId: number,
  { packageId, expected }: { packageId: number; expected: number },
  seenAt: Date,
): Promise<number> {
  await joinInBulk(tx);
  const [noted] = await tx<[{ count: number }]>`
    select count(*)::int as count from seen_builds where root_id = ${rootId} and package_id = ${packageId}`;
  if (noted.count !== expected) {
    throw new HubError(
      "CONFLICT",
      `Only ${noted.count} of ${expected} seen builds are still recorded, because the database restarted. The next scan repeats the reading.`,
    );
  }
  const gone = await tx`
    update builds set gone_at = ${seenAt}, last_seen = greatest(builds.first_seen, readings.read_at)
    from package_readings as readings
    where readings.root_id = ${rootId} and readings.package_id = ${packageId}
      and builds.root_id = ${rootId} and builds.package_id = ${packageId} and builds.gone_at is null
      and not exists (
        select from seen_builds as seen
        where seen.root_id = builds.root_id and seen.package_id = builds.package_id
          and seen.changelist = builds.changelist and seen.revision = builds.revision and seen.file = builds.file
      )`;
  await tx`delete from seen_builds where root_id = ${rootId} and package_id = ${packageId}`;
  return gone.count;
}

/** Deletes the records of an interrupted scan. */
export async function deleteSeen(sql: Queryable): Promise<void> {
  await sql`delete from seen_builds`;
}

/**
 * Updates the planner's statistics after a table changed much: until then the planner assumes that few builds are
 * available. A coarse sample of some 10 ms; autovacuum refines it later.
 */
export async function describeBuilds(tx: Queryable): Promise<void> {
  await tx`select set_config('default_statistics_target', '10', true)`;
  await tx`analyze builds (root_id, package_id, changelist, gone_at)`;
}

/**
 * Disables nested loops for the rest of the transaction. New rows have no statistics yet, and a generic plan does not
 * know the length of this list. In both cases the planner may expect few rows on both sides, and compare every build with
 * every other.
 */
async function joinInBulk(tx: Queryable): Promise<void> {
  await tx`
    select set_config('plan_cache_mode', 'force_custom_plan', true), set_config('enable_nestloop', 'off', true),
      set_config('jit', 'off', true)`;
}

function columnsOf(tx: Queryable, found: BuildColumns) {
  return tx`unnest(
      ${found.packageIds}::integer[], ${found.changelists}::integer[], ${found.revisions}::integer[],
      ${found.files}::text[], ${found.sizes}::bigint[]
    ) as found (package_id, changelist, revision, file, size)`;
}
