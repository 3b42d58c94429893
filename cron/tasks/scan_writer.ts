import { isRepeat } from "../../db/drop/build_store.ts";
import { renewLease } from "../../db/core/leases.ts";
import { recordProgress } from "../../db/drop/scans.ts";
import { type Batch, writeBatch } from "./scan_batch.ts";
import type { RootScan, ScanReport } from "./scan_report.ts";

/** Number of batches written at once while the next is read: it limits memory and keeps the server busy. */
const MAX_WRITES = 2;

/** Writes the batches of a scan, each in its own transaction, which commits only while the lease is valid. */
export class BatchWriter {
  readonly #writing = new Set<Promise<void>>();
  #fault: unknown;

  constructor(private readonly scan: RootScan, private readonly report: ScanReport) {}

  /**
   * Starts writing a batch once there is room. Returns when the server has received the data: reading on earlier would
   * delay sending, because both share one thread.
   * @throws the error of an earlier batch
   */
  async begin(batch: Batch): Promise<void> {
    while (this.#writing.size >= MAX_WRITES) await Promise.race(this.#writing);
    // A package's batches are compared when its listing ends, so they are written one after the other.
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

  /** Waits for all batches. */
  async settle(): Promise<void> {
    await Promise.all(this.#writing);
  }

  /** Checks for a failed batch. @throws the error of a batch */
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
      // The last statement, so that two batches can be written at once. If the lease is lost, everything is rolled back.
      await renewLease(tx, lease, leaseS);
      await recordProgress(tx, scanId, {
        ...counts,
        buildsAdded: counts.buildsAdded + changes.added,
        buildsGone: counts.buildsGone + changes.gone,
        buildsBack: counts.buildsBack + changes.back,
      }, this.scan.now());
      return changes;
    }).catch((error) => {
      // The ids were rolled back.
      for (const each of unmade) each.id = undefined;
      throw error;
    });
    counts.buildsAdded += changes.added;
    counts.buildsGone += changes.gone;
    counts.buildsBack += changes.back;
    await this.scan.step?.("batch");
  }
}
