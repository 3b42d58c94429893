import { describeBuilds, markBuildsGone } from "../../db/drop/build_store.ts";
import { renewLease } from "../../db/core/leases.ts";
import { filterFull, recordEmpty, recordReadings } from "../../db/drop/package_readings.ts";
import { recordProgress } from "../../db/drop/scans.ts";
import { HubError } from "../../errors.ts";
import type { RootScan, ScanReport } from "./scan_report.ts";

/** Number of consecutive readings after which an empty listing is believed. */
const BELIEVED_AFTER = 3;
/** Number of build changes after which the planner's statistics are updated. */
const MANY_CHANGES = 1_000;

/** The results of listing a whole root. */
export interface Listed {
  /** Names of the packages that the root lists. */
  names: ReadonlySet<string>;
  /** Number of packages that were read completely, or are unchanged. */
  good: number;
  /** Known packages whose listing was empty. */
  empty: { id: number; name: string; mark: string | null }[];
}

/**
 * Judges, after the whole root is listed, packages that have known builds but an empty or no listing. Their builds are
 * marked gone after three consecutive such readings, counting only readings in which most other packages were read well.
 * @throws HubError BAD_GATEWAY if the root lists no package although packages are known
 */
export async function concludeRoot(scan: RootScan, report: ScanReport, listed: Listed): Promise<void> {
  const { sql, lease, leaseS, rootId, scanId, startedAt, known } = scan;
  const { counts } = report;
  const vanished = known.filter((each) => each.isKnown && each.scanned && !listed.names.has(each.name));
  const suspects = [
    ...listed.empty.map((each) => ({ ...each, reason: "its listing is empty although it has known builds" })),
    ...vanished.map(({ id, name }) => ({
      id,
      name,
      mark: null,
      reason: "is no longer listed by the root although it has known builds",
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
        `The root lists no packages, although builds of ${doubtful.length} packages are known; none is marked gone.`,
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
      counts.buildsGone += await markBuildsGone(tx, rootId, [...believed], startedAt);
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
