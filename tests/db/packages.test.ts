import { afterAll, beforeAll, expect, test } from "vitest";
import { BY } from "../helpers/author.ts";
import { getPackage, getPackageIds, listPackages, setPackageScanned } from "../../db/packages.ts";
import { packageList } from "../../schemas/package.ts";
import { dropOf } from "../helpers/drop_rows.ts";
import { type TestDatabase, testDatabase } from "../helpers/postgres.ts";

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

test("packages come by name, with newest and oldest of what is available", async () => {
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

test("search is part of the name in any case, and takes no pattern", async () => {
  expect(await names({ search: "RELEASE_" })).toHaveLength(3);
  expect(await names({ search: "%" })).toEqual(["100%_Release_x"]);
  expect(await names({ search: "0_d" })).toEqual(["100_Debug_x"]);
  expect(await names({ search: "\\" })).toEqual([]);
  expect(await names({ branch: "main", build: "Release" })).toEqual(["main_Release_a", "main_Release_b"]);
});

test("pages go on after the last name", async () => {
  const paged: string[] = [];
  let cursor: string | undefined;
  do {
    const page = await list({ limit: 2, cursor });
    paged.push(...page.items.map((item) => item.name));
    cursor = page.nextCursor ?? undefined;
  } while (cursor !== undefined);
  expect(paged).toEqual(await names({}));
});

test("a package counts its builds, and says how each root was read", async () => {
  const detail = await getPackage(db.sql, "odd", { showReasons: false });
  expect(detail).toMatchObject({ builds: 6, available: 4, gone: 1, newest: 40, oldest: 5 });
  expect(detail.readings.map((reading) => [reading.root, reading.unread, reading.unreadReason])).toEqual([
    ["root0", false, null],
    ["root1", false, null],
  ]);
});

test("a package can be left out of scans, and be found by that", async () => {
  await setPackageScanned(db.sql, { name: "main_Release_a", scanned: false }, BY);
  expect(await names({ scanned: "false" })).toEqual(["main_Release_a"]);
  expect(await names({ scanned: "true" })).toHaveLength(NAMES.length - 1);
  await expect(setPackageScanned(db.sql, { name: "x", scanned: false }, BY)).rejects.toMatchObject({
    code: "NOT_FOUND",
  });
});

test("unknown packages are named, all of them", async () => {
  await expect(getPackageIds(db.sql, ["odd", "what", "huh"])).rejects.toMatchObject({
    code: "NOT_FOUND",
    message: 'No scan has seen the packages "what", "huh"; /api/dvs/packages?search= finds names.',
  });
});
