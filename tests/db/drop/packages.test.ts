import { afterAll, beforeAll, expect, test } from "vitest";
import { BY } from "../../helpers/author.ts";
import { completePackages } from "../../../db/drop/package_names.ts";
import { getPackage, getPackageIds, listPackages, setPackageScanned } from "../../../db/drop/packages.ts";
import { prepareStore, storeRuns } from "../../../db/ingest/run_writer.ts";
import { packageList } from "../../../schemas/package.ts";
import { dropOf } from "../../helpers/drop_rows.ts";
import { type TestDatabase, testDatabase } from "../../helpers/postgres.ts";

let db: TestDatabase;
let drop: Awaited<ReturnType<typeof dropOf>>;
const NAMES = ["100%_Release_x", "100_Debug_x", "main_Debug_a", "main_Release_a", "main_Release_b", "odd"];
beforeAll(async () => {
  db = await testDatabase();
  drop = await dropOf(db.sql, ["file:///one", "file:///two", "file:///old"]);
  for (const name of NAMES) await drop.add(0, name, [10, 20, 30]);
  await drop.add(1, "odd", [5, 40]);
  await drop.add(2, "odd", [99]);
  await drop.unconfigure(2);
  await drop.gone(0, "odd", [10]);
  await drop.gone(0, "main_Debug_a", [10, 20, 30]);
});
afterAll(() => db.drop());

const list = (input: Record<string, unknown>) => listPackages(db.sql, packageList.parse(input));
const names = async (input: Record<string, unknown>) => (await list(input)).items.map((item) => item.name);

test("packages are listed by name, with their newest and oldest available build", async () => {
  const { items } = await list({});
  expect(items.map((item) => item.name).toSorted()).toEqual(NAMES.toSorted());
  expect(items.find((item) => item.name === "odd")).toEqual({
    name: "odd",
    branch: null,
    build: null,
    scanned: true,
    firstSeen: drop.readAt.toISOString(),
    newest: 40,
    oldest: 5,
  });
  expect(items.find((item) => item.name === "main_Debug_a")).toMatchObject({
    branch: "main",
    build: "Debug",
    newest: null,
    oldest: null,
  });
});

test("search matches a substring in any case, not a pattern", async () => {
  expect(await names({ search: "RELEASE_" })).toHaveLength(3);
  expect(await names({ search: "%" })).toEqual(["100%_Release_x"]);
  expect(await names({ search: "0_d" })).toEqual(["100_Debug_x"]);
  expect(await names({ search: "\\" })).toEqual([]);
  expect(await names({ branch: "main", build: "Release" })).toEqual(["main_Release_a", "main_Release_b"]);
});

test("pages continue after the last name", async () => {
  const paged: string[] = [];
  let cursor: string | undefined;
  do {
    const page = await list({ limit: 2, cursor });
    paged.push(...page.items.map((item) => item.name));
    cursor = page.nextCursor ?? undefined;
  } while (cursor !== undefined);
  expect(paged).toEqual(await names({}));
});

test("a package shows its build counts, and how each root was read", async () => {
  const detail = await getPackage(db.sql, "odd", { showReasons: false });
  expect(detail).toMatchObject({ builds: 6, available: 4, gone: 1, newest: 40, oldest: 5 });
  expect(detail.readings.map((reading) => [reading.root, reading.unread, reading.unreadReason])).toEqual([
    ["root0", false, null],
    ["root1", false, null],
  ]);
});

test("a package can be excluded from scans, and listed by that", async () => {
  await setPackageScanned(db.sql, { name: "main_Release_a", scanned: false }, BY);
  expect(await names({ scanned: "false" })).toEqual(["main_Release_a"]);
  expect(await names({ scanned: "true" })).toHaveLength(NAMES.length - 1);
  await expect(setPackageScanned(db.sql, { name: "x", scanned: false }, BY)).rejects.toMatchObject({
    code: "NOT_FOUND",
  });
});

test("a package first named by a run gets its branch and build, in any spelling", async () => {
  const [one] = await db.sql`insert into tests (name, scraper) values ('pushed', 'push') returning id`;
  const packages = [
    "pushed_main_Assert_linux",
    "pushed odd",
    "pushed_Release_",
    "_Debug_x",
    "pushed_main_Assert_linux",
  ];
  await prepareStore(db.sql, packages.length);
  await db.sql.begin((tx) =>
    storeRuns(tx, {
      testId: one!.id,
      source: "s",
      mode: "replace",
      runs: packages.map((name, at) => ({
        externalId: String(at),
        attempt: 1,
        axis: "main",
        changelist: 1,
        environment: {},
        status: "done" as const,
        package: name,
        results: [],
      })),
    })
  );
  const stored = await db.sql`
    select name, branch, build from packages where name like 'pushed%' or name like '\\_%' order by name collate "C"`;
  expect(stored.map((row) => [row.name, row.branch, row.build])).toEqual([
    ["_Debug_x", null, null],
    ["pushed odd", null, null],
    ["pushed_Release_", null, null],
    ["pushed_main_Assert_linux", "pushed_main", "Assert"],
  ]);
});

test("packages stored by older code without branch and build get them, by several processes at once", async () => {
  await db
    .sql`insert into packages (name) select 'old_b' || n || '_Release_x' from generate_series(1, 25000) as n`;
  await db.sql`insert into packages (name) values ('left odd')`;
  const counts = await Promise.all([completePackages(db.sql), completePackages(db.sql)]);
  expect(counts[0]! + counts[1]!).toBe(25_000);
  expect(await completePackages(db.sql)).toBe(0);
  const [row] = await db.sql`
    select count(*)::int as n from packages where branch like 'old_b%' and build = 'Release'`;
  expect(row!.n).toBe(25_000);
  expect(await getPackage(db.sql, "left odd", { showReasons: false })).toMatchObject({
    branch: null,
    build: null,
  });
});

test("the error lists all unknown packages", async () => {
  await expect(getPackageIds(db.sql, ["odd", "what", "huh"])).rejects.toMatchObject({
    code: "NOT_FOUND",
    message: 'No scan has seen the packages "what", "huh"; /api/dvs/packages?search= finds names.',
  });
});
