import { HubError } from "../../errors.ts";
import type { Page } from "../../schemas/common.ts";
import type { PlaceReason, Scan, ScanDetail, ScanList } from "../../schemas/scan.ts";
import { Conditions } from "../core/conditions.ts";
import type { Queryable } from "../core/queryable.ts";
import { decodeCursor, toPage } from "../core/cursor.ts";

/** What a scan has found so far. */
export interface ScanCounts {
  packagesSeen: number;
  packagesUnchanged: number;
  packagesUnread: number;
  buildsSeen: number;
  buildsAdded: number;
  buildsGone: number;
  buildsBack: number;
  unparsedCount: number;
}

/** Records the start of a scan. Returns its id. */
export async function startScan(
  sql: Queryable,
  { rootId, cause, full, startedAt }: {
    rootId: number | null;
    cause: string;
    full: boolean;
    startedAt: Date;
  },
): Promise<number> {
  const [row] = await sql<[{ id: number }]>`
    insert into scans (root_id, state, cause, full_read, started_at, updated_at)
    values (${rootId}, 'running', ${cause}, ${full}, ${startedAt}, ${startedAt})
    returning id`;
  return row.id;
}

/** Records the progress of a running scan. */
export async function recordProgress(
  sql: Queryable,
  id: number,
  counts: ScanCounts,
  updatedAt: Date,
): Promise<void> {
  await sql`
    update scans set updated_at = ${updatedAt}, packages_seen = ${counts.packagesSeen},
      packages_unchanged = ${counts.packagesUnchanged}, packages_unread = ${counts.packagesUnread},
      builds_seen = ${counts.buildsSeen}, builds_added = ${counts.buildsAdded}, builds_gone = ${counts.buildsGone},
      builds_back = ${counts.buildsBack}, unparsed_count = ${counts.unparsedCount}
    where id = ${id} and state = 'running'`;
}

/** Records the end of a running scan; no effect if another worker has marked it lost. */
export async function finishScan(
  sql: Queryable,
  id: number,
  { state, error, report, finishedAt }: {
    state: "done" | "failed";
    error: string | null;
    report: { counts: ScanCounts; unparsed: PlaceReason[]; unread: PlaceReason[] };
    finishedAt: Date;
  },
): Promise<void> {
  await recordProgress(sql, id, report.counts, finishedAt);
  await sql`
    update scans set state = ${state}, error = ${error}, finished_at = ${finishedAt},
      unparsed = ${report.unparsed as never}::jsonb, unread = ${report.unread as never}::jsonb
    where id = ${id} and state = 'running'`;
}

export const SCAN_LEASE = "scan";

/** Returns a value that changes with every renewal of the scan's lease; undefined if no scan ever ran. */
export async function findScanLeaseMark(sql: Queryable): Promise<string | undefined> {
  const [row] = await sql<{ mark: string }[]>`
    select fence || ' ' || expires_at as mark from leases where name = ${SCAN_LEASE}`;
  return row?.mark;
}

/** Marks every running scan lost. Only for the owner of the lease, which knows that none of them runs. */
export async function loseScans(sql: Queryable, at: Date): Promise<void> {
  await sql`
    update scans set state = 'lost', finished_at = ${at}, error = 'The process that ran it ended.'
    where state = 'running'`;
}

interface ScanRow extends Omit<Scan, "startedAt" | "updatedAt" | "finishedAt"> {
  startedAt: Date;
  updatedAt: Date;
  finishedAt: Date | null;
}

function toScan<T extends ScanRow>({ startedAt, updatedAt, finishedAt, ...row }: T) {
  return {
    ...row,
    startedAt: startedAt.toISOString(),
    updatedAt: updatedAt.toISOString(),
    finishedAt: finishedAt?.toISOString() ?? null,
  };
}

function columns(sql: Queryable) {
  return sql`
    scans.id, roots.name as root, roots.url, scans.state, scans.cause, scans.full_read as "full",
    scans.started_at as "startedAt", scans.updated_at as "updatedAt", scans.finished_at as "finishedAt",
    greatest(0, extract(epoch from (case when scans.state = 'lost' then scans.updated_at
      else coalesce(scans.finished_at, now()) end - scans.started_at)) * 1000)::int8 as "durationMs",
    scans.packages_seen as "packagesSeen", scans.packages_unchanged as "packagesUnchanged",
    scans.packages_unread as "packagesUnread", scans.builds_seen as "buildsSeen", scans.builds_added as "buildsAdded",
    scans.builds_gone as "buildsGone", scans.builds_back as "buildsBack", scans.unparsed_count as "unparsedCount",
    scans.error`;
}

/** Lists scans, newest first. Errors are blank unless `showReasons`. */
export async function listScans(
  sql: Queryable,
  { state, cursor, limit }: ScanList,
  { showReasons }: { showReasons: boolean },
): Promise<Page<Scan>> {
  const [before] = cursor === undefined ? [null] : decodeCursor(cursor, ["number"]);
  const rows = await sql<ScanRow[]>`
    select ${columns(sql)}
    from scans left join roots on roots.id = scans.root_id
    where ${new Conditions(sql).below("scans.id", before).equal("scans.state", state).all}
    order by scans.id desc
    limit ${limit + 1}`;
  return toPage(
    rows,
    limit,
    (row) => ({ ...toScan(row), error: showReasons ? row.error : null }),
    (row) => [row.id],
  );
}

/**
 * Returns a scan with the names that did not parse and the places that could not be read. Reasons are blank unless
 * `showReasons`.
 * @throws HubError NOT_FOUND
 */
export async function getScan(
  sql: Queryable,
  id: number,
  { showReasons }: { showReasons: boolean },
): Promise<ScanDetail> {
  const [row] = await sql<(ScanRow & { unparsed: PlaceReason[]; unread: PlaceReason[] })[]>`
    select ${columns(sql)}, scans.unparsed, scans.unread
    from scans left join roots on roots.id = scans.root_id
    where scans.id = ${id}`;
  if (row === undefined) throw new HubError("NOT_FOUND", `There is no scan ${id}.`);
  return {
    ...toScan(row),
    error: showReasons ? row.error : null,
    unread: row.unread.map(({ place, reason }) => ({ place, reason: showReasons ? reason : "" })),
  };
}

/** Deletes scans that started before `before`, except each root's last. Returns how many. */
export async function pruneScans(sql: Queryable, before: Date): Promise<number> {
  const pruned = await sql`
    delete from scans
    where started_at < ${before} and state <> 'running' and exists (
      select from scans as later where later.root_id is not distinct from scans.root_id and later.id > scans.id
    )`;
  return pruned.count;
}
