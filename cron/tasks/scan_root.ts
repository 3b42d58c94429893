import { setImmediate } from "node:timers/promises";
import { goneBuilds, isRepeat } from "../../db/build_store.ts";
import type { Db } from "../../db/client.ts";
import { holdLease, type Lease } from "../../db/leases.ts";
import type { KnownPackage } from "../../db/drop_roots.ts";
import { filterFull, recordEmpty, recordReadings } from "../../db/readings.ts";
import { recordProgress, type ScanCounts } from "../../db/scans.ts";
import { HubError } from "../../errors.ts";
import { MAX_PLACES, type PlaceReason } from "../../schemas/scan.ts";
import type { PackageName } from "../../scrapers/binarydrop/names.ts";
import { scanDrop, type ScanEvent } from "../../scrapers/binarydrop/scan.ts";
import type { BuildEntry, DropSource } from "../../scrapers/binarydrop/source.ts";
import { type Batch, type PackagePart, type ScannedPackage, writeBatch } from "./scan_batch.ts";

/** A transaction holds at most about so much. One more batch is written while the next is read: memory stays at that. */
const MAX_BUILDS = 20_000;
const MAX_PARTS = 500;
const MAX_UNCHANGED = 5_000;
/** A slow source shows its progress all the same. */
const MAX_AGE_MS = 2_000;
/** Longest stretch of reading without letting the process's other work go on. */
const MAX_STRETCH_MS = 4;
/** Readings in a row after which an empty listing is believed. */
const BELIEVED_AFTER = 3;
const DAY_MS = 86_400_000;

export interface RootScan {
  sql: Db;
  lease: Lease;
  leaseS: number;
  rootId: number;
  scanId: number;
  /** The reading's time for everything found. */
  startedAt: Date;
  full: boolean;
  fullScanDays: number;
  pattern: RegExp | undefined;
  known: KnownPackage[];
  now(): Date;
  /** A test ends the process, or looks, between any two batches. */
  step?(name: string): void | Promise<void>;
}

/** Counts and lists of a scan, kept while it runs. */
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

/**
 * Reads one root and stores what it finds. What was read before a fault is kept.
 * @throws HubError where the root cannot be listed, or the lease was taken over; whatever the database throws
 */
export async function scanRoot(
  scan: RootScan,
  source: DropSource,
  report: ScanReport,
  signal: AbortSignal,
): Promise<void> {
  const reader = new RootReader(scan, report);
  try {
    for await (const event of scanDrop(source, reader.options(signal))) {
      await reader.take(event);
    }
  } catch (error) {
    if (!signal.aborted) await reader.flush();
    throw error;
  } finally {
    await reader.settle();
  }
  await reader.flush();
  await reader.conclude();
}

class RootReader {
  readonly #known: Map<string, KnownPackage>;
  readonly #asked = new Set<string>();
  #batch: Batch = { parts: [], unchanged: [] };
  #builds = 0;
  #begun = performance.now();
  #breathed = performance.now();
  /** The package whose events are coming. */
  #current: PackagePart | undefined;
  #writing: Promise<void> = Promise.resolve();
  #fault: unknown;
  /** Packages that were read well, and those that came back empty. */
  #good = 0;
  readonly #empty: { package: ScannedPackage; mark: string | null }[] = [];

  constructor(private readonly scan: RootScan, private readonly report: ScanReport) {
    this.#known = new Map(scan.known.map((each) => [each.name, each]));
  }

  options(signal: AbortSignal) {
    const { full, fullScanDays, startedAt, pattern } = this.scan;
    const fullBefore = startedAt.getTime() - fullScanDays * DAY_MS;
    return {
      signal,
      pattern,
      isScanned: (name: string) => {
        // A source that lies may name a package twice; it is read once.
        if (this.#asked.has(name)) return false;
        this.#asked.add(name);
        return this.#isScanned(name);
      },
      known: (name: string) => {
        const known = this.#known.get(name);
        if (full || !known?.isKnown || known.mark === null || known.fullAt === null) return undefined;
        if (known.fullAt.getTime() <= fullBefore) return undefined;
        return { mark: known.mark, readAt: known.readAt };
      },
    };
  }

  async take(event: ScanEvent): Promise<void> {
    const { counts } = this.report;
    switch (event.kind) {
      case "stray":
        this.report.addUnparsed([event.unparsed]);
        break;
      case "skipped":
        if (!this.#isScanned(event.package.name)) counts.packagesSeen++;
        break;
      case "unchanged":
        counts.packagesSeen++;
        counts.packagesUnchanged++;
        this.#good++;
        this.#batch.unchanged.push(this.#known.get(event.package.name)!.id);
        break;
      case "builds":
        this.report.addUnparsed(event.unparsed);
        counts.buildsSeen += event.builds.length;
        await this.#add(this.#open(event.package), event.builds);
        break;
      case "end":
        this.#end(this.#open(event.package), event.mark);
        break;
      case "unread": {
        const part = this.#open(event.package);
        part.ending = { kind: "unread", reason: event.reason };
        this.report.addUnread(event.package.name, event.reason);
        this.#close(part);
      }
    }
    await this.#flushIfDue();
  }

  #isScanned(name: string): boolean {
    return this.#known.get(name)?.scanned ?? true;
  }

  #open(name: PackageName): PackagePart {
    if (this.#current?.package.name.name === name.name) return this.#current;
    const known = this.#known.get(name.name);
    this.report.counts.packagesSeen++;
    this.#current = {
      package: { name, id: known?.id, isNew: !known?.isKnown, noted: undefined },
      builds: [],
      ending: { kind: "more" },
    };
    return this.#current;
  }

  async #add(part: PackagePart, builds: BuildEntry[]): Promise<void> {
    if (part.builds.length > 0 && this.#builds + builds.length > MAX_BUILDS) {
      this.#batch.parts.push(part);
      const { package: owner } = part;
      const noted = (owner.noted ?? 0) + part.builds.length;
      await this.flush();
      // The batch is written later: what comes next must not be seen by it.
      this.#current = part = {
        package: owner.isNew ? owner : { ...owner, noted },
        builds: [],
        ending: { kind: "more" },
      };
    }
    this.#builds += builds.length;
    if (part.builds.length === 0) part.builds = builds;
    else part.builds.push(...builds);
  }

  #end(part: PackagePart, mark: string | null): void {
    const isEmpty = part.builds.length === 0 && part.package.noted === undefined;
    if (isEmpty && !part.package.isNew) {
      this.#empty.push({ package: part.package, mark });
      this.#current = undefined;
      return;
    }
    this.#good++;
    part.ending = { kind: "end", mark };
    this.#close(part);
  }

  #close(part: PackagePart): void {
    this.#batch.parts.push(part);
    this.#current = undefined;
  }

  async #flushIfDue(): Promise<void> {
    const time = performance.now();
    if (time - this.#breathed > MAX_STRETCH_MS) {
      await setImmediate();
      this.#breathed = performance.now();
    }
    const { parts, unchanged } = this.#batch;
    const isDue = this.#builds >= MAX_BUILDS && this.#current === undefined || parts.length >= MAX_PARTS ||
      unchanged.length >= MAX_UNCHANGED || time - this.#begun > MAX_AGE_MS;
    if (isDue) await this.flush();
  }

  /** Begins to write the batch, once the one before is written. @throws what that one failed with */
  async flush(): Promise<void> {
    await this.#writing;
    if (this.#fault !== undefined) throw this.#fault;
    const batch = this.#batch;
    const open = this.#current?.builds.length ?? 0;
    this.#batch = { parts: [], unchanged: [] };
    this.#builds = batch.parts.at(-1) === this.#current ? 0 : open;
    this.#begun = performance.now();
    if (batch.parts.length + batch.unchanged.length === 0) return;
    this.#writing = this.#write(batch, false)
      .catch((error) => isRepeat(error) ? this.#write(batch, true) : Promise.reject(error))
      .catch((error) => {
        this.#fault = error;
      });
  }

  /** Waits for what is being written; a fault is kept for the next `flush`. */
  async settle(): Promise<void> {
    await this.#writing;
  }

  async #write(batch: Batch, carefully: boolean): Promise<void> {
    const { sql, lease, leaseS, rootId, scanId, startedAt } = this.scan;
    const { counts } = this.report;
    const changes = await sql.begin(async (tx) => {
      await holdLease(tx, lease, leaseS);
      const changes = await writeBatch(tx, rootId, { batch, carefully }, startedAt);
      await recordProgress(tx, scanId, {
        ...counts,
        buildsAdded: counts.buildsAdded + changes.added,
        buildsGone: counts.buildsGone + changes.gone,
        buildsBack: counts.buildsBack + changes.back,
      }, this.scan.now());
      return changes;
    });
    counts.buildsAdded += changes.added;
    counts.buildsGone += changes.gone;
    counts.buildsBack += changes.back;
    await this.scan.step?.("batch");
  }

  /**
   * After the whole root was listed: packages that came back empty, or not at all, where builds were known. They are
   * believed after three readings in a row, each of them while most of the others were read well.
   * @throws HubError BAD_GATEWAY where the root lists no package at all though some were known
   */
  async conclude(): Promise<void> {
    await this.#writing;
    if (this.#fault !== undefined) throw this.#fault;
    const { sql, lease, leaseS, rootId, scanId, startedAt, known } = this.scan;
    const vanished = known.filter((each) => each.isKnown && each.scanned && !this.#asked.has(each.name));
    if (this.#asked.size === 0 && vanished.length > 0) {
      throw new HubError(
        "BAD_GATEWAY",
        `The root lists no package where ${vanished.length} were known; nothing is taken for gone.`,
      );
    }
    const suspects = [
      ...this.#empty.map(({ package: { id, name }, mark }) => ({
        id: id!,
        name: name.name,
        mark,
        reason: "came back empty where builds were known",
      })),
      ...vanished.map(({ id, name }) => ({
        id,
        name,
        mark: null,
        reason: "is not in the root's listing any more, where builds were known",
      })),
    ];
    const { counts } = this.report;
    await sql.begin(async (tx) => {
      await holdLease(tx, lease, leaseS);
      const full = await filterFull(tx, rootId, suspects.map((each) => each.id));
      const wasEmpty = this.#empty.filter((each) => !full.has(each.package.id!));
      const doubtful = suspects.filter((each) => full.has(each.id));
      const good = this.#good + wasEmpty.length;
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
      const read = [
        ...wasEmpty.map((each) => ({ id: each.package.id!, mark: each.mark })),
        ...doubtful.filter((each) => believed.has(each.id)),
      ];
      const readings = { packageIds: read.map((each) => each.id), marks: read.map((each) => each.mark) };
      await recordReadings(tx, rootId, readings, startedAt);
      for (const each of doubtful) if (!believed.has(each.id)) this.report.addUnread(each.name, each.reason);
      await recordProgress(tx, scanId, counts, this.scan.now());
    });
  }
}
