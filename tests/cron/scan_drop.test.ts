import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { type ScanDeps, scanDropTask } from "../../cron/tasks/scan_drop.ts";
import { getChangelist, listChangelists } from "../../db/builds.ts";
import { findLease } from "../../db/leases.ts";
import { getPackage, setPackageScanned } from "../../db/packages.ts";
import { getScan, listScans } from "../../db/scans.ts";
import { changelistList } from "../../schemas/build.ts";
import { createFetch } from "../../scrapers/fetch.ts";
import { makeDrop, makePackage, serve, serveIndex } from "../helpers/drop_tree.ts";
import { type TestDatabase, testDatabase } from "../helpers/postgres.ts";

const HOUR = 3_600_000;
const fetch = createFetch({
  allow: { hosts: ["127.0.0.1"], roots: [], dataDir: "/nowhere", labUrl: undefined },
  attempts: 1,
});

let db: TestDatabase;
let drop: Awaited<ReturnType<typeof makeDrop>>;
let clock: Date;
beforeAll(async () => {
  db = await testDatabase();
});
afterAll(() => db.drop());
beforeEach(async () => {
  await db.sql`truncate roots, packages, package_readings, builds, scans, leases restart identity cascade`;
  drop = await makeDrop();
  clock = new Date(Date.now() + HOUR);
});
afterEach(() => drop.remove());

function deps(more: Partial<ScanDeps> = {}): ScanDeps {
  return {
    sql: db.sql,
    config: { dropRoots: [{ name: "drop", url: drop.url }], dropPattern: undefined, dropFullScanDays: 7 },
    fetch,
    now: () => clock,
    ...more,
  };
}

/** Runs a scan an hour after the last; returns its record. */
async function scan({ full = false, ...more }: Partial<ScanDeps> & { full?: boolean } = {}) {
  clock = new Date(clock.getTime() + HOUR);
  await scanDropTask(deps(more), { full, cause: "request" }, new AbortController().signal);
  return await newest();
}

async function newest() {
  const { items } = await listScans(db.sql, { limit: 1 }, { showReasons: true });
  return await getScan(db.sql, items[0]!.id, { showReasons: true });
}

async function available(name: string): Promise<number[]> {
  const input = changelistList.parse({ name, available: true, order: "asc" });
  return (await listChangelists(db.sql, input)).items.map((item) => item.changelist);
}

/** Where each build row lies and who wrote it: changes with any write. */
function rowsOfBuilds() {
  return db.sql`select ctid::text, xmin::text, xmax::text, package_id, file from builds order by ctid`;
}

test("a first scan finds both layouts, and lists what does not parse", async () => {
  await makePackage(drop.path, "calc_main_Release_Linux_AMD64_compiler", [1000, 1005], {
    others: ["README", "SW_1010_other.tgz"],
    folders: ["1015", "latest"],
  });
  await makePackage(drop.path, "odd name", [7]);
  await Deno.writeTextFile(`${drop.path}/notes.txt`, "");
  const found = await scan();
  expect(found).toMatchObject({
    root: "drop",
    url: drop.url,
    state: "done",
    cause: "request",
    packagesSeen: 2,
    packagesUnchanged: 0,
    packagesUnread: 0,
    buildsSeen: 4,
    buildsAdded: 4,
    buildsGone: 0,
    unparsedCount: 4,
    error: null,
  });
  expect(found.unparsed.map((each) => each.place).sort()).toEqual([
    "calc_main_Release_Linux_AMD64_compiler/README",
    "calc_main_Release_Linux_AMD64_compiler/SW_1010_other.tgz",
    "calc_main_Release_Linux_AMD64_compiler/latest",
    "notes.txt",
  ]);
  expect(await getPackage(db.sql, "calc_main_Release_Linux_AMD64_compiler", { showReasons: true }))
    .toMatchObject({
      branch: "calc_main",
      build: "Release",
      newest: 1015,
      oldest: 1000,
      builds: 3,
      available: 3,
    });
  expect(await getPackage(db.sql, "odd name", { showReasons: true })).toMatchObject({
    branch: null,
    build: null,
    scanned: true,
  });
  const { builds } = await getChangelist(db.sql, { name: "odd name", changelist: 7 });
  expect(await Deno.stat(new URL(builds[0]!.location))).toMatchObject({ isFile: true });
});

test("a second scan of an unchanged tree writes no build row, and moves last-seen", async () => {
  await makePackage(drop.path, "a", [1, 2, 3]);
  await makePackage(drop.path, "b", [4]);
  await makePackage(drop.path, "nothing", []);
  await scan();
  const before = await rowsOfBuilds();
  const second = await scan();
  expect(second).toMatchObject({ packagesSeen: 3, packagesUnchanged: 3, buildsSeen: 0, buildsAdded: 0 });
  expect(await rowsOfBuilds()).toEqual(before);
  const { builds } = await getChangelist(db.sql, { name: "a", changelist: 2 });
  expect(builds[0]).toMatchObject({ lastSeen: second.startedAt, goneAt: null });
  expect(builds[0]!.firstSeen < second.startedAt).toBe(true);

  expect(await scan({ full: true })).toMatchObject({ full: true, packagesUnchanged: 0, buildsSeen: 4 });
  expect(await rowsOfBuilds()).toEqual(before);
});

test("a package is read in full once DROP_FULL_SCAN_DAYS have gone by", async () => {
  await makePackage(drop.path, "a", [1]);
  await scan();
  clock = new Date(clock.getTime() + 6 * 24 * HOUR);
  expect(await scan()).toMatchObject({ packagesUnchanged: 1 });
  clock = new Date(clock.getTime() + 24 * HOUR);
  expect(await scan()).toMatchObject({ packagesUnchanged: 0, buildsSeen: 1 });
  expect(await scan()).toMatchObject({ packagesUnchanged: 1 });
});

test("a build that vanishes is gone, one that comes back is not", async () => {
  const a = await makePackage(drop.path, "a", [1, 2, 3]);
  await makePackage(drop.path, "b", [1, 2]);
  const first = await scan();
  await a.removeBuild(2);
  await a.addBuild(4);
  const second = await scan();
  expect(second).toMatchObject({ packagesUnchanged: 1, buildsAdded: 1, buildsGone: 1, buildsBack: 0 });
  expect(await available("a")).toEqual([1, 3, 4]);
  expect((await getChangelist(db.sql, { name: "a", changelist: 2 })).builds[0]).toMatchObject({
    available: false,
    goneAt: second.startedAt,
    lastSeen: first.startedAt,
  });
  await a.addBuild(2);
  const third = await scan();
  expect(third).toMatchObject({ buildsAdded: 0, buildsGone: 0, buildsBack: 1 });
  expect((await getChangelist(db.sql, { name: "a", changelist: 2 })).builds[0]).toMatchObject({
    available: true,
    goneAt: null,
    firstSeen: first.startedAt,
    lastSeen: third.startedAt,
  });
});

test("an empty listing is believed after three readings in a row, while the others read well", async () => {
  const a = await makePackage(drop.path, "a", [1, 2]);
  await makePackage(drop.path, "b", [1]);
  await makePackage(drop.path, "c", [1]);
  await scan();
  for (const at of [1, 2]) await a.removeBuild(at);
  for (let times = 0; times < 2; times++) {
    const doubted = await scan();
    expect(doubted).toMatchObject({ state: "done", packagesUnread: 1, packagesUnchanged: 2, buildsGone: 0 });
    expect(doubted.unread).toEqual([{ place: "a", reason: "came back empty where builds were known" }]);
    expect(await available("a")).toEqual([1, 2]);
  }
  const { readings } = await getPackage(db.sql, "a", { showReasons: true });
  expect(readings[0]).toMatchObject({
    unread: true,
    unreadReason: "came back empty where builds were known",
  });
  expect(await scan()).toMatchObject({ packagesUnread: 0, buildsGone: 2 });
  expect(await available("a")).toEqual([]);
  expect(await scan()).toMatchObject({ packagesUnread: 0, buildsGone: 0 });
});

test("an empty listing in between two full ones begins the count anew", async () => {
  const a = await makePackage(drop.path, "a", [1]);
  await makePackage(drop.path, "b", [1]);
  await scan();
  for (let round = 0; round < 2; round++) {
    await a.removeBuild(1);
    await scan();
    await scan();
    await a.addBuild(1);
    expect(await scan()).toMatchObject({ packagesUnread: 0, buildsGone: 0 });
  }
  expect(await available("a")).toEqual([1]);
});

test("empty listings are never believed while most packages are empty", async () => {
  const packages = await Promise.all(["a", "b", "c"].map((name) => makePackage(drop.path, name, [1])));
  await scan();
  await packages[0]!.removeBuild(1);
  await packages[1]!.removeBuild(1);
  for (let times = 0; times < 5; times++) {
    expect(await scan()).toMatchObject({ packagesUnread: 2, buildsGone: 0 });
  }
  expect(await available("a")).toEqual([1]);
});

test("a package that vanishes from the root is treated as an empty one", async () => {
  const a = await makePackage(drop.path, "a", [1]);
  await makePackage(drop.path, "b", [1]);
  await scan();
  await a.remove();
  expect((await scan()).unread).toEqual([
    { place: "a", reason: "is not in the root's listing any more, where builds were known" },
  ]);
  expect(await scan()).toMatchObject({ packagesUnread: 1, buildsGone: 0 });
  expect(await scan()).toMatchObject({ packagesUnread: 0, buildsGone: 1 });
  expect(await scan()).toMatchObject({ packagesUnread: 0, buildsGone: 0, state: "done" });
});

test("a root that is empty, or cannot be listed, marks nothing gone", async () => {
  const a = await makePackage(drop.path, "a", [1]);
  await scan();
  await a.remove();
  for (let times = 0; times < 4; times++) {
    expect(await scan()).toMatchObject({
      state: "failed",
      buildsGone: 0,
      error: "The root lists no package where 1 had builds; nothing is taken for gone.",
    });
  }
  await drop.remove();
  expect(await scan()).toMatchObject({ state: "failed", buildsGone: 0 });
  expect(await available("a")).toEqual([1]);
});

test("listings that fail or are cut short mark nothing gone, and their reason is kept", async () => {
  const a = await makePackage(drop.path, "a", [1, 2]);
  await makePackage(drop.path, "b", [1]);
  const b2 = await makePackage(drop.path, "c", [1, 2, 3]);
  await using site = serveIndex(drop.path);
  const config = {
    ...deps().config,
    dropRoots: [{ name: "site", url: site.url }],
  };
  expect(await scan({ config })).toMatchObject({ state: "done", buildsAdded: 6, packagesSeen: 3 });
  site.faults.set("/a/", "500");
  site.faults.set("/c/", "cut");
  await a.removeBuild(1);
  await b2.removeBuild(1);
  for (let times = 0; times < 4; times++) {
    const found = await scan({ config });
    expect(found).toMatchObject({ state: "done", packagesUnread: 2, buildsGone: 0 });
    expect(found.unread.map((each) => each.reason)).toEqual([
      expect.stringContaining("answered 500"),
      expect.stringContaining("cut short"),
    ]);
  }
  expect(await available("a")).toEqual([1, 2]);
  site.faults.set("/", "500");
  expect(await scan({ config })).toMatchObject({ state: "failed", buildsGone: 0 });
  site.faults.clear();
  expect(await scan({ config })).toMatchObject({ state: "done", packagesUnread: 0, buildsGone: 2 });
  expect((await getScan(db.sql, (await newest()).id - 2, { showReasons: false })).unread[0]).toEqual({
    place: "a",
    reason: "",
  });
});

test("a bucket that names a build, or a package, twice has it once", async () => {
  const page = (inner: string) =>
    `<?xml version="1.0"?><ListBucketResult><IsTruncated>false</IsTruncated>${inner}</ListBucketResult>`;
  const build = "<Contents><Key>a/SW_5_a.tgz</Key><Size>7</Size></Contents>";
  const prefix = "<CommonPrefixes><Prefix>a/</Prefix></CommonPrefixes>";
  await using bucket = serve((url) =>
    page(url.searchParams.get("prefix") === "a/" ? build + build : prefix + prefix)
  );
  const config = { ...deps().config, dropRoots: [{ name: "bucket", url: `s3+${bucket.url}` }] };
  expect(await scan({ config })).toMatchObject({ state: "done", packagesSeen: 1, buildsAdded: 1 });
  expect(await scan({ config })).toMatchObject({
    state: "done",
    packagesSeen: 1,
    buildsAdded: 0,
    buildsGone: 0,
  });
  expect((await getChangelist(db.sql, { name: "a", changelist: 5 })).builds).toMatchObject([
    { size: 7, location: `${bucket.url}/a/SW_5_a.tgz` },
  ]);
});

test("a package that is not to be scanned is left alone", async () => {
  const a = await makePackage(drop.path, "a", [1]);
  await makePackage(drop.path, "b", [1]);
  await scan();
  await setPackageScanned(db.sql, { name: "a", scanned: false });
  await a.addBuild(2);
  expect(await scan({ full: true })).toMatchObject({ packagesSeen: 2, buildsSeen: 1, buildsAdded: 0 });
  await a.remove();
  for (let times = 0; times < 4; times++) {
    expect(await scan()).toMatchObject({ buildsGone: 0, packagesUnread: 0 });
  }
  expect(await available("a")).toEqual([1]);
});

test("a root that fails does not stop the others, and a root named no more is not available", async () => {
  const other = await makeDrop();
  try {
    await makePackage(drop.path, "a", [1]);
    await makePackage(other.path, "a", [1, 2]);
    const roots = [
      { name: "missing", url: `${drop.url}/missing` },
      { name: "one", url: drop.url },
      { name: "two", url: other.url },
    ];
    await scan({ config: { ...deps().config, dropRoots: roots } });
    const { items } = await listScans(db.sql, { limit: 10 }, { showReasons: true });
    expect(items.map((each) => [each.root, each.state])).toEqual([
      ["two", "done"],
      ["one", "done"],
      ["missing", "failed"],
    ]);
    expect(items[2]!.error).toContain("cannot be read");
    expect((await getChangelist(db.sql, { name: "a", changelist: 1 })).builds.map((each) => each.root))
      .toEqual(["one", "two"]);
    await scan({ config: { ...deps().config, dropRoots: roots.slice(1, 2) } });
    expect(await available("a")).toEqual([1]);
  } finally {
    await other.remove();
  }
});

test("a package that no batch holds loses what no batch of its reading saw", async () => {
  const numbers = Array.from({ length: 40_001 }, (_, at) => at + 1);
  const big = await makePackage(drop.path, "big", numbers, { kind: "file" });
  await makePackage(drop.path, "small", [1]);
  expect(await scan()).toMatchObject({ buildsAdded: 40_002 });
  for (const at of [1, 20_000, 40_001]) await big.removeBuild(at);
  await big.addBuild(50_000);
  expect(await scan()).toMatchObject({
    buildsSeen: 39_999,
    buildsAdded: 1,
    buildsGone: 3,
    packagesUnchanged: 1,
  });
  expect(await db.sql`select count(*)::int as count from seen_builds`).toEqual([{ count: 0 }]);
  const before = await rowsOfBuilds();
  expect(await scan({ full: true })).toMatchObject({ buildsSeen: 40_000, buildsAdded: 0, buildsGone: 0 });
  expect(await rowsOfBuilds()).toEqual(before);
});

/** More packages than the batches take that are read and written at once. */
async function manyPackages(): Promise<number> {
  const count = 2600;
  for (let at = 0; at < count; at++) await makePackage(drop.path, `p${at}`, [at + 1], { kind: "folder" });
  return count;
}

test("progress shows while a scan runs", async () => {
  const count = await manyPackages();
  const seen: [string, number][] = [];
  await scan({
    async step() {
      const { state, buildsAdded } = await newest();
      seen.push([state, buildsAdded]);
    },
  });
  expect(seen[0]![0]).toBe("running");
  expect(seen[0]![1]).toBeGreaterThan(0);
  expect(seen[0]![1]).toBeLessThan(count);
  expect(await newest()).toMatchObject({ state: "done", buildsAdded: count });
});

test("a scan whose lease was taken over writes nothing more", async () => {
  await manyPackages();
  let writtenBefore = 0;
  let times = 0;
  const slow = scan({
    async step() {
      if (times++ > 0) return;
      await db.sql`update leases set expires_at = '-infinity' where name = 'scan'`;
      expect(await findLease(db.sql, "scan", "another", 60)).toBeDefined();
      const [row] = await db.sql`select count(*)::int as count from builds`;
      writtenBefore = row!.count;
    },
  });
  await slow.catch(() => {});
  const [row] = await db.sql`select count(*)::int as count from builds`;
  expect(writtenBefore).toBeGreaterThan(0);
  expect(row!.count).toBe(writtenBefore);
  expect(await newest()).toMatchObject({ state: "failed", error: expect.stringContaining("taken over") });
});

test("of two scans at once the second is recorded as refused", async () => {
  await manyPackages();
  let release = () => {};
  const held = new Promise<void>((resolve) => release = resolve);
  let begun = () => {};
  const isBegun = new Promise<void>((resolve) => begun = resolve);
  const first = scan({
    leaseS: 1,
    step() {
      begun();
      return held;
    },
  });
  await isBegun;
  await scanDropTask(deps({ leaseS: 1 }), { full: false, cause: "schedule" }, new AbortController().signal);
  expect(await newest()).toMatchObject({
    root: null,
    state: "failed",
    cause: "schedule",
    error: "Another scan is running; two never run at once.",
  });
  release();
  await first;
  const { items } = await listScans(db.sql, { limit: 10 }, { showReasons: true });
  expect(items.map((each) => each.state)).toEqual(["failed", "done"]);
});

test("a scan that is stopped is recorded, keeps what it wrote, and gives the lease back", async () => {
  const count = await manyPackages();
  const stop = new AbortController();
  const stopped = scanDropTask(
    deps({ step: () => stop.abort(new Error("the hub is stopping")) }),
    { full: false, cause: "request" },
    stop.signal,
  );
  await expect(stopped).rejects.toThrow("the hub is stopping");
  expect(await newest()).toMatchObject({ state: "failed", error: "the hub is stopping" });
  expect(await scan()).toMatchObject({ state: "done", packagesSeen: count });
  expect(await db.sql`select count(*)::int as count from builds`).toEqual([{ count }]);
});

test("a scan that was killed is lost, and the next one finds the rest", async () => {
  const count = await manyPackages();
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "tests/helpers/scan_child.ts", db.url, drop.url],
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  expect((await reader.read()).value).toContain("batch\n");
  child.kill("SIGKILL");
  await child.status;
  await reader.cancel();
  const [row] = await db.sql`select count(*)::int as count from builds`;
  expect(row!.count).toBeGreaterThan(0);
  expect(row!.count).toBeLessThan(count);
  const found = await scan({ leaseS: 1 });
  expect(found).toMatchObject({ state: "done", packagesSeen: count, buildsAdded: count - row!.count });
  expect(await getScan(db.sql, found.id - 1, { showReasons: true })).toMatchObject({ state: "lost" });
  expect(await db.sql`select count(*)::int as count from builds`).toEqual([{ count }]);
});
