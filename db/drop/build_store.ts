import { HubError } from "../../errors.ts";
import type { Queryable } from "../core/queryable.ts";
import { copyInto, copyValue } from "../core/copy.ts";

/** Builds found by a scan, column by column: the shape `unnest` takes. */
export interface BuildColumns {
  packageIds: number[];
  changelists: number[];
  revisions: number[];
  files: string[];
  /** Bytes. */
  sizes: (number | null)[];
}

/** How builds are written. */
export interface WriteOptions {
  /** The reading's time. */
  seenAt: Date;
  /** Called once the builds are on their way and only the server has work to do. */
  onSending?: (() => void) | undefined;
}

export interface BuildChanges {
  added: number;
  gone: number;
  back: number;
}

/**
 * Adds builds of packages that have none under this root yet: nothing to compare. Returns how many. Fails where one is
 * named twice (see `isRepeat`): to look for that would make a first scan half as slow again.
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

/** Whether an error may say that `addBuilds` was given a build twice; `mergeBuilds` takes such. */
export function isRepeat(error: unknown): boolean {
  const code = (error as { code?: unknown } | null)?.code;
  return code === "23505" || code === "25P02";
}

/**
 * Brings the builds of known packages up to date with a reading: new ones are added, ones that came back lose their
 * `gone_at`, and of `completeIds`, the packages read to the end, those not found are gone. A build that is as it was is
 * not written.
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

/** Marks every build of these packages gone: for those whose listing is believed to be empty. Returns how many. */
export async function goneBuilds(
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

/** Notes what a batch saw of packages that one batch does not hold. */
export async function noteSeen(tx: Queryable, rootId: number, found: BuildColumns): Promise<void> {
  await tx`
    insert into seen_builds (root_id, package_id, changelist, revision, file)
    select ${rootId}, found.package_id, found.changelist, found.revision, found.file from ${
    columnsOf(tx, found)
  }`;
}

/**
 * Marks the builds of a package gone that no batch of its reading saw, and forgets what was noted. Returns how many.
 * @throws HubError CONFLICT where the notes are not the `expected` ones: an unlogged table is empty after a crash.
 */
export async function goneUnseen(
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
      `Of ${expected} builds seen ${noted.count} are still noted: the database was restarted in between.`,
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

/** Forgets what a scan that did not end has noted. */
export async function forgetSeen(sql: Queryable): Promise<void> {
  await sql`delete from seen_builds`;
}

/**
 * Tells the planner of a table that has changed much: until then it takes builds that are not gone for a rarity. A coarse
 * look, some 10 ms; the server's own upkeep looks closer later.
 */
export async function describeBuilds(tx: Queryable): Promise<void> {
  await tx`select set_config('default_statistics_target', '10', true)`;
  await tx`analyze builds (root_id, package_id, changelist, gone_at)`;
}

/**
 * For the rest of the transaction. What was just written has no statistics yet, and a plan made for any length of list
 * knows nothing of this one: by either the planner may take both sides for short, and compare every build with every other.
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
