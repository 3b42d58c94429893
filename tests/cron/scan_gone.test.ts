import { expect, test } from "vitest";
import { getPackage } from "../../db/drop/packages.ts";
import { getScan } from "../../db/drop/scans.ts";
import { makePackage, serveIndex } from "../helpers/drop_tree.ts";
import { scanBench } from "../helpers/scan_bench.ts";

const bench = scanBench();

test("an empty listing is believed after three consecutive readings if the other packages were read well", async () => {
  const a = await makePackage(bench.drop.path, "a", [1, 2]);
  await makePackage(bench.drop.path, "b", [1]);
  await makePackage(bench.drop.path, "c", [1]);
  await bench.scan();
  for (const at of [1, 2]) await a.removeBuild(at);
  for (let times = 0; times < 2; times++) {
    const doubted = await bench.scan();
    expect(doubted).toMatchObject({ state: "done", packagesUnread: 1, packagesUnchanged: 2, buildsGone: 0 });
    expect(doubted.unread).toEqual([{
      place: "a",
      reason: "its listing is empty although it has known builds",
    }]);
    expect(await bench.available("a")).toEqual([1, 2]);
  }
  const { readings } = await getPackage(bench.db.sql, "a", { showReasons: true });
  expect(readings[0]).toMatchObject({
    unread: true,
    unreadReason: "its listing is empty although it has known builds",
  });
  expect(await bench.scan()).toMatchObject({ packagesUnread: 0, buildsGone: 2 });
  expect(await bench.available("a")).toEqual([]);
  expect(await bench.scan()).toMatchObject({ packagesUnread: 0, buildsGone: 0 });
});

test("a full listing resets the count of empty ones", async () => {
  const a = await makePackage(bench.drop.path, "a", [1]);
  await makePackage(bench.drop.path, "b", [1]);
  await bench.scan();
  for (let round = 0; round < 2; round++) {
    await a.removeBuild(1);
    await bench.scan();
    await bench.scan();
    await a.addBuild(1);
    expect(await bench.scan()).toMatchObject({ packagesUnread: 0, buildsGone: 0 });
  }
  expect(await bench.available("a")).toEqual([1]);
});

test("empty listings are never believed while most packages are empty", async () => {
  const packages = await Promise.all(["a", "b", "c"].map((name) => makePackage(bench.drop.path, name, [1])));
  await bench.scan();
  await packages[0]!.removeBuild(1);
  await packages[1]!.removeBuild(1);
  for (let times = 0; times < 5; times++) {
    expect(await bench.scan()).toMatchObject({ packagesUnread: 2, buildsGone: 0 });
  }
  expect(await bench.available("a")).toEqual([1]);
});

test("a package that the root no longer lists is treated as empty", async () => {
  const a = await makePackage(bench.drop.path, "a", [1]);
  await makePackage(bench.drop.path, "b", [1]);
  await bench.scan();
  await a.remove();
  expect((await bench.scan()).unread).toEqual([
    { place: "a", reason: "is no longer listed by the root although it has known builds" },
  ]);
  expect(await bench.scan()).toMatchObject({ packagesUnread: 1, buildsGone: 0 });
  expect(await bench.scan()).toMatchObject({ packagesUnread: 0, buildsGone: 1 });
  expect(await bench.scan()).toMatchObject({ packagesUnread: 0, buildsGone: 0, state: "done" });
});

test("a root that is empty, or cannot be listed, marks nothing gone", async () => {
  const a = await makePackage(bench.drop.path, "a", [1]);
  await bench.scan();
  await a.remove();
  for (let times = 0; times < 4; times++) {
    expect(await bench.scan()).toMatchObject({
      state: "failed",
      buildsGone: 0,
      error: "The root lists no packages, although builds of 1 packages are known; none is marked gone.",
    });
  }
  await bench.drop.remove();
  expect(await bench.scan()).toMatchObject({ state: "failed", buildsGone: 0 });
  expect(await bench.available("a")).toEqual([1]);
});

test("failed or truncated listings mark nothing gone, and their reason is stored", async () => {
  const a = await makePackage(bench.drop.path, "a", [1, 2]);
  await makePackage(bench.drop.path, "b", [1]);
  const b2 = await makePackage(bench.drop.path, "c", [1, 2, 3]);
  await using site = serveIndex(bench.drop.path);
  const config = {
    ...bench.deps().config,
    dropRoots: [{ name: "site", url: site.url }],
  };
  expect(await bench.scan({ config })).toMatchObject({ state: "done", buildsAdded: 6, packagesSeen: 3 });
  site.faults.set("/a/", "500");
  site.faults.set("/c/", "cut");
  await a.removeBuild(1);
  await b2.removeBuild(1);
  for (let times = 0; times < 4; times++) {
    const found = await bench.scan({ config });
    expect(found).toMatchObject({ state: "done", packagesUnread: 2, buildsGone: 0 });
    expect(found.unread.map((each) => each.reason)).toEqual([
      expect.stringContaining("answered 500"),
      expect.stringContaining("truncated"),
    ]);
  }
  expect(await bench.available("a")).toEqual([1, 2]);
  site.faults.set("/", "500");
  expect(await bench.scan({ config })).toMatchObject({ state: "failed", buildsGone: 0 });
  site.faults.clear();
  expect(await bench.scan({ config })).toMatchObject({ state: "done", packagesUnread: 0, buildsGone: 2 });
  expect((await getScan(bench.db.sql, (await bench.newest()).id - 2, { showReasons: false })).unread[0])
    .toEqual({
      place: "a",
      reason: "",
    });
});

test("a package larger than a batch loses the builds that no batch of its reading saw", async () => {
  const numbers = Array.from({ length: 40_001 }, (_, at) => at + 1);
  const big = await makePackage(bench.drop.path, "big", numbers, { kind: "file" });
  await makePackage(bench.drop.path, "small", [1]);
  expect(await bench.scan()).toMatchObject({ buildsAdded: 40_002 });
  for (const at of [1, 20_000, 40_001]) await big.removeBuild(at);
  await big.addBuild(50_000);
  expect(await bench.scan()).toMatchObject({
    buildsSeen: 39_999,
    buildsAdded: 1,
    buildsGone: 3,
    packagesUnchanged: 1,
  });
  expect(await bench.db.sql`select count(*)::int as count from seen_builds`).toEqual([{ count: 0 }]);
  const before = await bench.rowsOfBuilds();
  expect(await bench.scan({ full: true })).toMatchObject({
    buildsSeen: 40_000,
    buildsAdded: 0,
    buildsGone: 0,
  });
  expect(await bench.rowsOfBuilds()).toEqual(before);
});

/** More packages than fit the batches that are read and written at once. */
