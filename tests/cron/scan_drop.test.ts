import { expect, test } from "vitest";
import { BY } from "../helpers/author.ts";
import { scanDropTask } from "../../cron/tasks/scan_drop.ts";
import { configureRoots } from "../../db/drop/drop_roots.ts";
import { getChangelist } from "../../db/drop/builds.ts";
import { getPackage, setPackageScanned } from "../../db/drop/packages.ts";
import { listScans } from "../../db/drop/scans.ts";
import { makeDrop, makePackage, serve } from "../helpers/drop_tree.ts";
import { HOUR, scanBench } from "../helpers/scan_bench.ts";

const bench = scanBench();

test("a first scan finds both layouts, and lists names that do not parse", async () => {
  await makePackage(bench.drop.path, "calc_main_Release_Linux_AMD64_compiler", [1000, 1005], {
    others: ["README", "SW_1010_other.tgz"],
    folders: ["1015", "latest"],
  });
  await makePackage(bench.drop.path, "odd name", [7]);
  await Deno.writeTextFile(`${bench.drop.path}/notes.txt`, "");
  const found = await bench.scan();
  expect(found).toMatchObject({
    root: "drop",
    url: bench.drop.url,
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
  expect(await getPackage(bench.db.sql, "calc_main_Release_Linux_AMD64_compiler", { showReasons: true }))
    .toMatchObject({
      branch: "calc_main",
      build: "Release",
      newest: 1015,
      oldest: 1000,
      builds: 3,
      available: 3,
    });
  expect(await getPackage(bench.db.sql, "odd name", { showReasons: true })).toMatchObject({
    branch: null,
    build: null,
    scanned: true,
  });
  const { builds } = await getChangelist(bench.db.sql, { name: "odd name", changelist: 7 });
  expect(await Deno.stat(new URL(builds[0]!.location))).toMatchObject({ isFile: true });
});

test("a second scan of an unchanged tree writes no build row, and moves last-seen", async () => {
  await makePackage(bench.drop.path, "a", [1, 2, 3]);
  await makePackage(bench.drop.path, "b", [4]);
  await makePackage(bench.drop.path, "nothing", []);
  await bench.scan();
  const before = await bench.rowsOfBuilds();
  const second = await bench.scan();
  expect(second).toMatchObject({ packagesSeen: 3, packagesUnchanged: 3, buildsSeen: 0, buildsAdded: 0 });
  expect(await bench.rowsOfBuilds()).toEqual(before);
  const { builds } = await getChangelist(bench.db.sql, { name: "a", changelist: 2 });
  expect(builds[0]).toMatchObject({ lastSeen: second.startedAt, goneAt: null });
  expect(builds[0]!.firstSeen < second.startedAt).toBe(true);

  expect(await bench.scan({ full: true })).toMatchObject({ full: true, packagesUnchanged: 0, buildsSeen: 4 });
  expect(await bench.rowsOfBuilds()).toEqual(before);
});

test("a package is read in full after DROP_FULL_SCAN_DAYS", async () => {
  await makePackage(bench.drop.path, "a", [1]);
  await bench.scan();
  bench.clock = new Date(bench.clock.getTime() + 6 * 24 * HOUR);
  expect(await bench.scan()).toMatchObject({ packagesUnchanged: 1 });
  bench.clock = new Date(bench.clock.getTime() + 24 * HOUR);
  expect(await bench.scan()).toMatchObject({ packagesUnchanged: 0, buildsSeen: 1 });
  expect(await bench.scan()).toMatchObject({ packagesUnchanged: 1 });
});

test("a missing build is marked gone, and a returned one no longer", async () => {
  const a = await makePackage(bench.drop.path, "a", [1, 2, 3]);
  await makePackage(bench.drop.path, "b", [1, 2]);
  const first = await bench.scan();
  await a.removeBuild(2);
  await a.addBuild(4);
  const second = await bench.scan();
  expect(second).toMatchObject({ packagesUnchanged: 1, buildsAdded: 1, buildsGone: 1, buildsBack: 0 });
  expect(await bench.available("a")).toEqual([1, 3, 4]);
  expect((await getChangelist(bench.db.sql, { name: "a", changelist: 2 })).builds[0]).toMatchObject({
    available: false,
    goneAt: second.startedAt,
    lastSeen: first.startedAt,
  });
  await a.addBuild(2);
  const third = await bench.scan();
  expect(third).toMatchObject({ buildsAdded: 0, buildsGone: 0, buildsBack: 1 });
  expect((await getChangelist(bench.db.sql, { name: "a", changelist: 2 })).builds[0]).toMatchObject({
    available: true,
    goneAt: null,
    firstSeen: first.startedAt,
    lastSeen: third.startedAt,
  });
});

test("a build or package that a bucket lists twice is stored once", async () => {
  const page = (inner: string) =>
    `<?xml version="1.0"?><ListBucketResult><IsTruncated>false</IsTruncated>${inner}</ListBucketResult>`;
  const build = "<Contents><Key>a/SW_5_a.tgz</Key><Size>7</Size></Contents>";
  const prefix = "<CommonPrefixes><Prefix>a/</Prefix></CommonPrefixes>";
  await using bucket = serve((url) =>
    page(url.searchParams.get("prefix") === "a/" ? build + build : prefix + prefix)
  );
  const config = { ...bench.deps().config, dropRoots: [{ name: "bucket", url: `s3+${bucket.url}` }] };
  expect(await bench.scan({ config })).toMatchObject({ state: "done", packagesSeen: 1, buildsAdded: 1 });
  expect(await bench.scan({ config })).toMatchObject({
    state: "done",
    packagesSeen: 1,
    buildsAdded: 0,
    buildsGone: 0,
  });
  expect((await getChangelist(bench.db.sql, { name: "a", changelist: 5 })).builds).toMatchObject([
    { size: 7, location: `${bucket.url}/a/SW_5_a.tgz` },
  ]);
});

test("a package excluded from scans is not read", async () => {
  const a = await makePackage(bench.drop.path, "a", [1]);
  await makePackage(bench.drop.path, "b", [1]);
  await bench.scan();
  await setPackageScanned(bench.db.sql, { name: "a", scanned: false }, BY);
  await a.addBuild(2);
  expect(await bench.scan({ full: true })).toMatchObject({ packagesSeen: 2, buildsSeen: 1, buildsAdded: 0 });
  await a.remove();
  for (let times = 0; times < 4; times++) {
    expect(await bench.scan()).toMatchObject({ buildsGone: 0, packagesUnread: 0 });
  }
  expect(await bench.available("a")).toEqual([1]);
});

test("a root removed from DROP_URLS is unavailable from the start on, and no older process restores it", async () => {
  const other = await makeDrop();
  try {
    await makePackage(bench.drop.path, "a", [1]);
    await makePackage(other.path, "a", [1, 2]);
    const roots = [{ name: "one", url: bench.drop.url }, { name: "two", url: other.url }];
    const old = { ...bench.deps().config, dropRoots: roots };
    await bench.scan({ config: old });
    expect(await bench.available("a")).toEqual([1, 2]);
    // Simulates the start of a process with other settings.
    await configureRoots(bench.db.sql, roots.slice(0, 1));
    expect(await bench.available("a")).toEqual([1]);
    const logged: unknown[] = [];
    const log = (message: string, fields?: Record<string, unknown>) =>
      logged.push([message, fields?.removed]);
    await scanDropTask(
      bench.deps({ config: old, log }),
      { full: true, cause: "request" },
      new AbortController().signal,
    );
    expect(logged).toContainEqual([expect.stringContaining("a different DROP_URLS"), [other.url]]);
    expect(await bench.available("a")).toEqual([1]);
    const { items } = await listScans(bench.db.sql, { limit: 1 }, { showReasons: true });
    expect(items[0]!.root).toBe("one");
    await configureRoots(bench.db.sql, roots);
    expect(await bench.available("a")).toEqual([1, 2]);
    // Many processes start at once, each with its own order.
    await Promise.all(
      Array.from(
        { length: 8 },
        (_, at) => configureRoots(bench.db.sql, at % 2 === 0 ? roots : roots.toReversed()),
      ),
    );
  } finally {
    await other.remove();
  }
});

test("a root whose server dies during the scan costs a few requests, marks nothing gone, and the next root is read", async () => {
  const names = Array.from({ length: 200 }, (_, at) => `p${at}`);
  const listing = (links: string[]) =>
    `<html><body><pre>${links.map((link) => `<a href="${link}">x</a>`).join("\n")}</pre></body></html>`;
  let isDead = false;
  let refused = 0;
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, (request) => {
    const { pathname } = new URL(request.url);
    if (isDead && pathname !== "/p0/" && pathname !== "/p1/") refused++;
    if (refused > 0) return new Response("", { status: 503 });
    return new Response(listing(pathname === "/" ? names.map((name) => `${name}/`) : ["7/"]));
  });
  try {
    await makePackage(bench.drop.path, "own", [1]);
    const url = `index+http://127.0.0.1:${server.addr.port}`;
    const dropRoots = [{ name: "dying", url }, { name: "own", url: bench.drop.url }];
    const config = { ...bench.deps().config, dropRoots };
    await bench.scan({ config });
    const before = await bench.available("p150");
    expect(before).toEqual([7]);
    // The root's own listing still answers, and the first two packages; then nothing does.
    let listed = 0;
    const fetch: typeof globalThis.fetch = async (input, init) => {
      const response = await globalThis.fetch(input as URL, init);
      if (++listed === 1) isDead = true;
      return response;
    };
    await makePackage(bench.drop.path, "late", [9]);
    await bench.scan({
      config,
      full: true,
      fetch: (address, init) => fetch(address as URL, init as RequestInit),
    });
    const { items } = await listScans(bench.db.sql, { limit: 2 }, { showReasons: true });
    expect(items.map((one) => [one.root, one.state])).toEqual([["own", "done"], ["dying", "failed"]]);
    expect(items[1]!.error).toContain("The root is down");
    expect(refused).toBeLessThan(30);
    expect(await bench.available("p150")).toEqual([7]);
    expect(await bench.available("late")).toEqual([9]);
  } finally {
    await server.shutdown();
  }
});

test("a failed root does not stop the others, and a removed root is unavailable", async () => {
  const other = await makeDrop();
  try {
    await makePackage(bench.drop.path, "a", [1]);
    await makePackage(other.path, "a", [1, 2]);
    const roots = [
      { name: "missing", url: `${bench.drop.url}/missing` },
      { name: "one", url: bench.drop.url },
      { name: "two", url: other.url },
    ];
    await bench.scan({ config: { ...bench.deps().config, dropRoots: roots } });
    const { items } = await listScans(bench.db.sql, { limit: 10 }, { showReasons: true });
    expect(items.map((each) => [each.root, each.state])).toEqual([
      ["two", "done"],
      ["one", "done"],
      ["missing", "failed"],
    ]);
    expect(items[2]!.error).toContain("cannot be read");
    expect((await getChangelist(bench.db.sql, { name: "a", changelist: 1 })).builds.map((each) => each.root))
      .toEqual(["one", "two"]);
    await bench.scan({ config: { ...bench.deps().config, dropRoots: roots.slice(1, 2) } });
    expect(await bench.available("a")).toEqual([1]);
  } finally {
    await other.remove();
  }
});
