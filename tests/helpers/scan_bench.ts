import { afterAll, afterEach, beforeAll, beforeEach } from "vitest";
import { type ScanDeps, scanDropTask } from "../../cron/tasks/scan_drop.ts";
import { listChangelists } from "../../db/drop/build_list.ts";
import { configureRoots } from "../../db/drop/drop_roots.ts";
import { getScan, listScans } from "../../db/drop/scans.ts";
import { changelistList } from "../../schemas/build.ts";
import type { ScanDetail } from "../../schemas/scan.ts";
import { createFetch } from "../../scrapers/http/fetch.ts";
import { makeDrop, makePackage } from "./drop_tree.ts";
import { type TestDatabase, testDatabase } from "./postgres.ts";

export const HOUR = 3_600_000;
const fetch = createFetch({
  allow: { hosts: ["127.0.0.1"], roots: [], dataDir: "/nowhere", labUrl: undefined, secrets: [] },
  attempts: 1,
});

/** A database and a drop, both empty before each test, and scans of the drop an hour apart. */
export function scanBench() {
  let db: TestDatabase;
  let drop: Awaited<ReturnType<typeof makeDrop>>;
  const bench = {
    clock: new Date(),
    get db() {
      return db;
    },
    get drop() {
      return drop;
    },
    deps(more: Partial<ScanDeps> = {}): ScanDeps {
      return {
        sql: db.sql,
        config: { dropRoots: [{ name: "drop", url: drop.url }], dropPattern: undefined, dropFullScanDays: 7 },
        fetch,
        now: () => bench.clock,
        ...more,
      };
    },
    /** Runs a scan an hour after the last, in a process that started earlier with these settings; returns its record. */
    async scan({ full = false, ...more }: Partial<ScanDeps> & { full?: boolean } = {}): Promise<ScanDetail> {
      bench.clock = new Date(bench.clock.getTime() + HOUR);
      await configureRoots(db.sql, bench.deps(more).config.dropRoots);
      await scanDropTask(bench.deps(more), { full, cause: "request" }, new AbortController().signal);
      return await bench.newest();
    },
    async newest(): Promise<ScanDetail> {
      const { items } = await listScans(db.sql, { limit: 1 }, { showReasons: true });
      return await getScan(db.sql, items[0]!.id, { showReasons: true });
    },
    async available(name: string): Promise<number[]> {
      const input = changelistList.parse({ name, available: true, order: "asc" });
      return (await listChangelists(db.sql, input)).value.items.map((item) => item.changelist);
    },
    /** Physical place (ctid) and transaction (xmin) of each build row: changes with any write. */
    rowsOfBuilds() {
      return db.sql`select ctid::text, xmin::text, xmax::text, package_id, file from builds order by ctid`;
    },
    /** Adds more packages than fit in a batch. Returns how many. */
    async manyPackages(): Promise<number> {
      const count = 2600;
      for (let at = 0; at < count; at++) await makePackage(drop.path, `p${at}`, [at + 1], { kind: "folder" });
      return count;
    },
  };
  beforeAll(async () => {
    db = await testDatabase();
  });
  afterAll(() => db.drop());
  beforeEach(async () => {
    await db.sql`truncate roots, packages, package_readings, builds, scans, leases restart identity cascade`;
    drop = await makeDrop();
    bench.clock = new Date(Date.now() + HOUR);
  });
  afterEach(() => drop.remove());
  return bench;
}
