import type { Db } from "../../db/core/queryable.ts";
import type { KnownPackage } from "../../db/drop/drop_roots.ts";
import type { Lease } from "../../db/core/leases.ts";
import type { ScanCounts } from "../../db/drop/scans.ts";
import type { Pattern } from "../../patterns.ts";
import { MAX_PLACES, type PlaceReason } from "../../schemas/scan.ts";

/** A scan of one root. */
export interface RootScan {
  sql: Db;
  lease: Lease;
  leaseS: number;
  rootId: number;
  scanId: number;
  /** Time of the reading, for everything found. */
  startedAt: Date;
  full: boolean;
  fullScanDays: number;
  pattern: Pattern | undefined;
  known: KnownPackage[];
  now(): Date;
  /** A hook for tests, called between any two batches. */
  step?(name: string): void | Promise<void>;
}

/** Counts and lists of a running scan. */
export class ScanReport {
  readonly counts: ScanCounts = {
    packagesSeen: 0,
    packagesUnchanged: 0,
    packagesUnread: 0,
    buildsSeen: 0,
    buildsAdded: 0,
    buildsGone: 0,
    buildsBack: 0,
    unparsedCount: 0,
  };
  readonly unparsed: PlaceReason[] = [];
  readonly unread: PlaceReason[] = [];

  addUnparsed(places: readonly PlaceReason[]): void {
    this.counts.unparsedCount += places.length;
    this.unparsed.push(...places.slice(0, MAX_PLACES - this.unparsed.length));
  }

  addUnread(place: string, reason: string): void {
    this.counts.packagesUnread++;
    if (this.unread.length < MAX_PLACES) this.unread.push({ place, reason });
  }
}
