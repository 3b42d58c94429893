import { isRepeat } from "../../db/drop/build_store.ts";
import { renewLease } from "../../db/core/leases.ts";
import { recordProgress } from "../../db/drop/scans.ts";
import { type Batch, writeBatch } from "./scan_batch.ts";
import type { RootScan, ScanReport } from "./scan_report.ts";

/** Batches written at once, while the next is read: memory stays at that, and the server is kept busy. */
const MAX_WRITES = 2;

/** Writes the batches of a scan, each in a transaction of its own that holds only while the lease does. */
export class BatchWriter {
  readonly #writing = new Set<Promise<void>>();
  #fault: unknown;

  constructor(private readonly scan: RootScan, private readonly report: ScanReport) {}

  /**
   * Begins to write a batch, once there is room. Returns when the server has its work: to read on before would keep it
   * waiting for this one thread.
   * @throws what an earlier batch failed with
   */
  async begin(batch: Batch): Promise<void> {
    while (this.#writing.size >= MAX_WRITES) await Promise.race(this.#writing);
    // What a package's batches find is compared at its end: they go one after the other.
    if (batch.parts.some((part) => part.isContinued)) await this.settle();
    this.check();
    await new Promise<void>((onSending) => {
      const writing = this.#write(batch, { carefully: false, onSending })
        .catch((error) =>
          isRepeat(error) ? this.#write(batch, { carefully: true, onSending }) : Promise.reject(error)
        )
        .catch((error) => {
          this.#fault ??= error;
        })
        .finally(() => {
          this.#writing.delete(writing);
          onSending();
        });
      this.#writing.add(writing);
    });
  }

  /** Waits for what is being written. */
  async settle(): Promise<void> {
    await Promise.all(this.#writing);
  }

  /** @throws what a batch failed with */
  check(): void {
    if (this.#fault !== undefined) throw this.#fault;
  }

  async #write(
    batch: Batch,
    how: { carefully: boolean; onSending(): void },
  ): Promise<void> {
    const { sql, lease, leaseS, rootId, scanId, startedAt } = this.scan;
    const { counts } = this.report;
    const unmade = batch.parts.map((part) => part.package).filter((each) => each.id === undefined);
    const changes = await sql.begin(async (tx) => {
      const changes = await writeBatch(tx, rootId, { batch, ...how }, startedAt);
      // Last, so that two batches can be written at once: where the lease is lost, all of it is rolled back.
      await renewLease(tx, lease, leaseS);
      await recordProgress(tx, scanId, {
        ...counts,
        buildsAdded: counts.buildsAdded + changes.added,
        buildsGone: counts.buildsGone + changes.gone,
        buildsBack: counts.buildsBack + changes.back,
      }, this.scan.now());
      return changes;
    }).catch((error) => {
      // Rolled back: these ids are no one's.
      for (const each of unmade) each.id = undefined;
      throw error;
    });
    counts.buildsAdded += changes.added;
    counts.buildsGone += changes.gone;
    counts.buildsBack += changes.back;
    await this.scan.step?.("batch");
  }
}
