import { describeBuilds, goneBuilds } from "../../db/drop/build_store.ts";
import { renewLease } from "../../db/core/leases.ts";
import { filterFull, recordEmpty, recordReadings } from "../../db/drop/package_readings.ts";
import { recordProgress } from "../../db/drop/scans.ts";
import { HubError } from "../../errors.ts";
import type { RootScan, ScanReport } from "./scan_report.ts";

/** Readings in a row after which an empty listing is believed. */
const BELIEVED_AFTER = 3;
/** Changes of builds after which the planner is told. */
const MANY_CHANGES = 1_000;

/** What the listing of a whole root leaves to be judged. */
export interface Listed {
  /** Names of the packages that the root lists. */
  names: ReadonlySet<string>;
  /** Packages that were read well, or are unchanged. */
  good: number;
  /** Known packages that came back empty. */
  empty: { id: number; name: string; mark: string | null }[];
}

/**
 * After the whole root was listed: packages that came back empty, or not at all, where builds were known. They are
 * believed after three readings in a row, each of them while most of the others were read well.
 * @throws HubError BAD_GATEWAY where the root lists no package at all though some were known
 */
export async function concludeRoot(scan: RootScan, report: ScanReport, listed: Listed): Promise<void> {
  const { sql, lease, leaseS, rootId, scanId, startedAt, known } = scan;
  const { counts } = report;
  const vanished = known.filter((each) => each.isKnown && each.scanned && !listed.names.has(each.name));
  const suspects = [
    ...listed.empty.map((each) => ({ ...each, reason: "came back empty where builds were known" })),
    ...vanished.map(({ id, name }) => ({
      id,
      name,
      mark: null,
      reason: "is not in the root's listing any more, where builds were known",
    })),
  ];
  await sql.begin(async (tx) => {
    await renewLease(tx, lease, leaseS);
    const full = suspects.length === 0
      ? new Set()
      : await filterFull(tx, rootId, suspects.map((each) => each.id));
    const doubtful = suspects.filter((each) => full.has(each.id));
    if (listed.names.size === 0 && doubtful.length > 0) {
      throw new HubError(
        "BAD_GATEWAY",
        `The root lists no package where ${doubtful.length} had builds; nothing is taken for gone.`,
      );
    }
    const read = listed.empty.filter((each) => !full.has(each.id));
    if (doubtful.length > 0) {
      const good = listed.good + read.length;
      const others = good + doubtful.length + counts.packagesUnread - 1;
      const believed = new Set(
        await recordEmpty(tx, rootId, {
          packageIds: doubtful.map((each) => each.id),
          reasons: doubtful.map((each) => each.reason),
          counts: others === 0 || good * 2 > others,
          believedAfter: BELIEVED_AFTER,
        }),
      );
      counts.buildsGone += await goneBuilds(tx, rootId, [...believed], startedAt);
      for (const each of doubtful) {
        if (believed.has(each.id)) read.push(each);
        else report.addUnread(each.name, each.reason);
      }
    }
    if (read.length > 0) {
      const readings = { packageIds: read.map((each) => each.id), marks: read.map((each) => each.mark) };
      await recordReadings(tx, rootId, readings, startedAt);
    }
    if (counts.buildsAdded + counts.buildsGone + counts.buildsBack >= MANY_CHANGES) await describeBuilds(tx);
    await recordProgress(tx, scanId, counts, scan.now());
  });
}
