import { turns } from "../../turns.ts";
import type { KnownPackage } from "../../db/drop/drop_roots.ts";
import type { PackageName } from "../../scrapers/binarydrop/names.ts";
import { scanDrop, type ScanEvent, type ScanOptions } from "../../scrapers/binarydrop/scan.ts";
import type { BuildEntry, DropSource } from "../../scrapers/binarydrop/source.ts";
import type { Batch, PackagePart } from "./scan_batch.ts";
import { concludeRoot, type Listed } from "./scan_conclude.ts";
import type { RootScan, ScanReport } from "./scan_report.ts";
import { BatchWriter } from "./scan_writer.ts";

/** Approximate maximum number of builds per transaction. */
const MAX_BUILDS = 10_000;
const MAX_PARTS = 500;
const MAX_UNCHANGED = 5_000;
/** Maximum age of a batch, so that a slow source shows its progress too. */
const MAX_AGE_MS = 2_000;
const DAY_MS = 86_400_000;

/**
 * Reads a root and stores what it finds. What was read before an error is kept.
 * @throws HubError if the root cannot be listed, or the lease was taken over; any database error
 */
export async function scanRoot(
  scan: RootScan,
  source: DropSource,
  report: ScanReport,
  signal: AbortSignal,
): Promise<void> {
  const writer = new BatchWriter(scan, report);
  const reader = new RootReader(scan, report, writer);
  try {
    for await (const event of scanDrop(source, reader.options(signal))) {
      await reader.take(event);
    }
  } catch (error) {
    if (!signal.aborted) await reader.flush();
    throw error;
  } finally {
    await writer.settle();
  }
  await reader.flush();
  await writer.settle();
  writer.check();
  await concludeRoot(scan, report, reader.listed());
}

/** Collects a root's listing into batches. */
class RootReader {
  readonly #known: Map<string, KnownPackage>;
  readonly #asked = new Set<string>();
  #batch: Batch = { parts: [], unchanged: [] };
  #builds = 0;
  #begun = performance.now();
  /** The package that is being listed. */
  #current: PackagePart | undefined;
  #good = 0;
  readonly #empty: Listed["empty"] = [];

  constructor(
    private readonly scan: RootScan,
    private readonly report: ScanReport,
    private readonly writer: BatchWriter,
  ) {
    this.#known = new Map(scan.known.map((each) => [each.name, each]));
  }

  listed(): Listed {
    return { names: this.#asked, good: this.#good, empty: this.#empty };
  }

  options(signal: AbortSignal): ScanOptions {
    const { full, fullScanDays, startedAt, pattern } = this.scan;
    const fullBefore = startedAt.getTime() - fullScanDays * DAY_MS;
    return {
      signal,
      pattern,
      isScanned: (name: string) => {
        // A faulty source may name a package twice; it is read once.
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
      isContinued: false,
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
      // The batch is written later and must not contain later events.
      this.#current = part = {
        package: owner.isNew ? owner : { ...owner, noted },
        builds: [],
        isContinued: true,
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
      this.#empty.push({ id: part.package.id!, name: part.package.name.name, mark });
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
    await turns.take();
    const { parts, unchanged } = this.#batch;
    const isDue = this.#builds >= MAX_BUILDS && this.#current === undefined || parts.length >= MAX_PARTS ||
      unchanged.length >= MAX_UNCHANGED || time - this.#begun > MAX_AGE_MS;
    if (isDue) await this.flush();
  }

  /** Passes the collected batch to the writer. @throws the error of an earlier batch */
  async flush(): Promise<void> {
    const batch = this.#batch;
    const open = this.#current?.builds.length ?? 0;
    this.#batch = { parts: [], unchanged: [] };
    this.#builds = batch.parts.at(-1) === this.#current ? 0 : open;
    this.#begun = performance.now();
    if (batch.parts.length + batch.unchanged.length > 0) await this.writer.begin(batch);
  }
}
