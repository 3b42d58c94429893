import type { Config } from "../../config/config.ts";
import { deleteSeen } from "../../db/drop/build_store.ts";
import { databaseFault } from "../../db/core/connection_errors.ts";
import type { Db } from "../../db/core/queryable.ts";
import { findConfiguredRoots, listKnownPackages, type StoredRoot } from "../../db/drop/drop_roots.ts";
import { acquireLease, type Lease, releaseLease } from "../../db/core/leases.ts";
import { findScanLeaseMark, finishScan, loseScans, SCAN_LEASE, startScan } from "../../db/drop/scans.ts";
import { reasonOf } from "../../errors.ts";
import { compilePattern } from "../../patterns.ts";
import type { BoundedFetch } from "../../scrapers/http/bounded_fetch.ts";
import { openSource } from "../../scrapers/binarydrop/scan.ts";
import { keepLease } from "../keep_lease.ts";
import type { TaskData } from "../queue.ts";
import { ScanReport } from "./scan_report.ts";
import { scanRoot } from "./scan_root.ts";

/** Seconds until a scan's lease expires without a renewal. */
const LEASE_S = 30;

export interface ScanDeps {
  sql: Db;
  config: Pick<Config, "dropRoots" | "dropPattern" | "dropFullScanDays">;
  fetch: BoundedFetch;
  now(): Date;
  log?(message: string, fields?: Record<string, unknown>): void;
  leaseS?: number;
  /** A hook for tests, called between any two batches. */
  step?(name: string): void | Promise<void>;
}

/**
 * Scans every configured drop root, one after the other, each with its own record. A failed root does not stop the
 * others. Two scans never run at once: the second one is recorded as failed.
 * @throws any database error, and the signal's reason
 */
export async function scanDropTask(
  deps: ScanDeps,
  { full, cause }: TaskData["scan_drop"],
  signal: AbortSignal,
): Promise<void> {
  const { sql, config, now, leaseS = LEASE_S } = deps;
  const lease = await takeLease(sql, leaseS, signal);
  if (lease === undefined) {
    await recordRefusal(deps, { full, cause });
    return;
  }
  const kept = keepLease(sql, lease, leaseS);
  try {
    await loseScans(sql, now());
    await deleteSeen(sql);
    const { roots, removed } = await findConfiguredRoots(sql, config.dropRoots);
    if (removed.length > 0) {
      deps.log?.("some roots are not scanned: a process started later has a different DROP_URLS", {
        removed,
      });
    }
    for (const root of roots) {
      const both = AbortSignal.any([signal, kept.signal]);
      both.throwIfAborted();
      await recordScan(deps, { root, lease, leaseS, full, cause }, both);
    }
  } finally {
    await kept.stop();
    await releaseLease(sql, lease).catch((error) => {
      deps.log?.("could not release the scan's lease; it will expire", { reason: reasonOf(error) });
    });
  }
}

/**
 * Acquires the lease, or returns undefined if its owner renews it. The lease of a dead process expires while this waits.
 */
async function takeLease(sql: Db, leaseS: number, signal: AbortSignal): Promise<Lease | undefined> {
  const holder = `process ${Deno.pid} at ${new Date().toISOString()}`;
  const first = await findScanLeaseMark(sql);
  while (true) {
    const lease = await acquireLease(sql, SCAN_LEASE, holder, leaseS);
    if (lease !== undefined) return lease;
    if (await findScanLeaseMark(sql) !== first) return undefined;
    await delay(Math.min(1000, leaseS * 100), signal);
  }
}

function delay(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", stop);
      resolve();
    }, ms);
    signal.addEventListener("abort", stop, { once: true });
  });
}

async function recordRefusal(
  { sql, now }: ScanDeps,
  { full, cause }: TaskData["scan_drop"],
): Promise<void> {
  await sql.begin(async (tx) => {
    const at = now();
    const id = await startScan(tx, { rootId: null, cause, full, startedAt: at });
    await finishScan(tx, id, {
      state: "failed",
      error: "Another scan is running, and only one may run at a time. Retry when it has ended.",
      report: new ScanReport(),
      finishedAt: at,
    });
  });
}

interface RootTurn {
  root: StoredRoot;
  lease: Lease;
  leaseS: number;
  full: boolean;
  cause: string;
}

async function recordScan(
  deps: ScanDeps,
  { root, lease, leaseS, full, cause }: RootTurn,
  signal: AbortSignal,
): Promise<void> {
  const { sql, config, fetch, now } = deps;
  const startedAt = now();
  const isFull = full || config.dropFullScanDays === 0;
  const scanId = await startScan(sql, { rootId: root.id, cause, full: isFull, startedAt });
  const report = new ScanReport();
  let error: unknown;
  try {
    const pattern = config.dropPattern === undefined ? undefined : compilePattern(config.dropPattern);
    const source = await openSource(root.url, { fetch, signal });
    const known = await listKnownPackages(sql, root.id);
    await scanRoot(
      {
        sql,
        lease,
        leaseS,
        rootId: root.id,
        scanId,
        startedAt,
        full: isFull,
        fullScanDays: config.dropFullScanDays,
        pattern,
        known,
        now,
        ...(deps.step === undefined ? {} : { step: deps.step }),
      },
      source,
      report,
      signal,
    );
  } catch (caught) {
    error = caught ?? new Error("failed without a reason");
  }
  const reason = error === undefined ? null : reasonOf(error);
  deps.log?.(reason === null ? "scan done" : "scan failed", { root: root.name, reason, ...report.counts });
  await finishScan(sql, scanId, {
    state: reason === null ? "done" : "failed",
    error: reason,
    report,
    finishedAt: now(),
  });
  signal.throwIfAborted();
  if (error !== undefined && databaseFault(error) !== undefined) throw error;
}
