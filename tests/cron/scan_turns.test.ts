import { expect, test } from "vitest";
import { scanDropTask } from "../../cron/tasks/scan_drop.ts";
import { acquireLease } from "../../db/core/leases.ts";
import { getScan, listScans } from "../../db/drop/scans.ts";
import { scanBench } from "../helpers/scan_bench.ts";

const bench = scanBench();

test("progress is shown while a scan runs", async () => {
  const count = await bench.manyPackages();
  const seen: [string, number][] = [];
  await bench.scan({
    async step() {
      const { state, buildsAdded } = await bench.newest();
      seen.push([state, buildsAdded]);
    },
  });
  expect(seen[0]![0]).toBe("running");
  expect(seen[0]![1]).toBeGreaterThan(0);
  expect(seen[0]![1]).toBeLessThan(count);
  expect(await bench.newest()).toMatchObject({ state: "done", buildsAdded: count });
});

test("a scan whose lease was taken over writes nothing more", async () => {
  await bench.manyPackages();
  let writtenBefore = 0;
  let times = 0;
  const slow = bench.scan({
    async step() {
      if (times++ > 0) return;
      // In one transaction, so that no renewal comes in between.
      await bench.db.sql.begin(async (tx) => {
        await tx`update leases set expires_at = '-infinity' where name = 'scan'`;
        expect(await acquireLease(tx, "scan", "another", 60)).toBeDefined();
      });
      const [row] = await bench.db.sql`select count(*)::int as count from builds`;
      writtenBefore = row!.count;
    },
  });
  await slow.catch(() => {});
  const [row] = await bench.db.sql`select count(*)::int as count from builds`;
  expect(writtenBefore).toBeGreaterThan(0);
  expect(row!.count).toBe(writtenBefore);
  expect(await bench.newest()).toMatchObject({
    state: "failed",
    error: expect.stringContaining("taken over"),
  });
});

test("of two concurrent scans the second is recorded as failed", async () => {
  await bench.manyPackages();
  let release = () => {};
  const held = new Promise<void>((resolve) => release = resolve);
  let begun = () => {};
  const isBegun = new Promise<void>((resolve) => begun = resolve);
  const first = bench.scan({
    leaseS: 8,
    step() {
      begun();
      return held;
    },
  });
  await isBegun;
  await scanDropTask(
    bench.deps({ leaseS: 8 }),
    { full: false, cause: "schedule" },
    new AbortController().signal,
  );
  expect(await bench.newest()).toMatchObject({
    root: null,
    state: "failed",
    cause: "schedule",
    error: "Another scan is running, and only one may run at a time. Retry when it has ended.",
  });
  release();
  await first;
  const { items } = await listScans(bench.db.sql, { limit: 10 }, { showReasons: true });
  expect(items.map((each) => each.state)).toEqual(["failed", "done"]);
});

test("a stopped scan is recorded, keeps what it wrote, and releases the lease", async () => {
  const count = await bench.manyPackages();
  const stop = new AbortController();
  const stopped = scanDropTask(
    bench.deps({ step: () => stop.abort(new Error("the hub is stopping")) }),
    { full: false, cause: "request" },
    stop.signal,
  );
  await expect(stopped).rejects.toThrow("the hub is stopping");
  expect(await bench.newest()).toMatchObject({ state: "failed", error: "the hub is stopping" });
  expect(await bench.scan()).toMatchObject({ state: "done", packagesSeen: count });
  expect(await bench.db.sql`select count(*)::int as count from builds`).toEqual([{ count }]);
});

test("a killed scan is marked lost, and the next one finds the rest", async () => {
  const count = await bench.manyPackages();
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "tests/helpers/scan_child.ts", bench.db.url, bench.drop.url],
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  expect((await reader.read()).value).toContain("batch\n");
  child.kill("SIGKILL");
  await child.status;
  await reader.cancel();
  const [row] = await bench.db.sql`select count(*)::int as count from builds`;
  expect(row!.count).toBeGreaterThan(0);
  expect(row!.count).toBeLessThan(count);
  const found = await bench.scan({ leaseS: 1 });
  expect(found).toMatchObject({ state: "done", packagesSeen: count, buildsAdded: count - row!.count });
  expect(await getScan(bench.db.sql, found.id - 1, { showReasons: true })).toMatchObject({ state: "lost" });
  expect(await bench.db.sql`select count(*)::int as count from builds`).toEqual([{ count }]);
});
