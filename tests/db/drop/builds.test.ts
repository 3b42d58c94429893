import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { listChangelists } from "../../../db/drop/build_list.ts";
import { getBuildFor, getChangelist, getNearest } from "../../../db/drop/builds.ts";
import { listCommon } from "../../../db/drop/common_builds.ts";
import { encodeCursor } from "../../../db/core/cursor.ts";
import { changelistList, commonQuery } from "../../../schemas/build.ts";
import { dropOf } from "../../helpers/drop_rows.ts";
import { type TestDatabase, testDatabase } from "../../helpers/postgres.ts";

let db: TestDatabase;
let drop: Awaited<ReturnType<typeof dropOf>>;
beforeAll(async () => {
  db = await testDatabase();
  drop = await dropOf(db.sql, ["file:///drop/one", "s3+https://bucket.example/two", "file:///drop/old"]);
  await drop.add(0, "calc", [10, 20, 30, 40]);
  await drop.add(0, "calc", [20], { revision: 2 });
  await drop.add(1, "calc", [25, 30]);
  await drop.add(2, "calc", [35, 99]);
  await drop.gone(0, "calc", [10, 30]);
  await drop.unconfigure(2);
  await drop.add(0, "base", [20, 25, 30, 40, 50]);
  await drop.add(0, "empty", [5]);
  await drop.gone(0, "empty", [5]);
});
afterAll(() => db.drop());

const list = (input: Record<string, unknown>) =>
  listChangelists(db.sql, changelistList.parse({ name: "calc", ...input })).then((page) => page.value);
const common = (input: Record<string, unknown>, options = {}) =>
  listCommon(db.sql, commonQuery.parse(input), options);

test("changelists are listed newest first, each with its best build and its number of builds", async () => {
  const { items, nextCursor } = await list({});
  expect(nextCursor).toBeNull();
  expect(items.map((item) => [item.changelist, item.available, item.builds])).toEqual([
    [99, false, 1],
    [40, true, 1],
    [35, false, 1],
    [30, true, 2],
    [25, true, 1],
    [20, true, 2],
    [10, false, 1],
  ]);
  expect(items.find((item) => item.changelist === 20)).toMatchObject({
    package: "calc",
    revision: 2,
    file: "SW_20.2_calc.tgz",
    location: "file:///drop/one/calc/SW_20.2_calc.tgz",
    root: "root0",
    goneAt: null,
  });
  expect(items.find((item) => item.changelist === 30)).toMatchObject({
    location: "https://bucket.example/two/calc/SW_30_calc.tgz",
    root: "root1",
  });
});

test("changelists can be filtered by availability and range, ordered and paged", async () => {
  const numbers = async (input: Record<string, unknown>) =>
    (await list(input)).items.map((item) => item.changelist);
  expect(await numbers({ available: "true", order: "asc" })).toEqual([20, 25, 30, 40]);
  expect(await numbers({ available: "false" })).toEqual([99, 35, 10]);
  expect(await numbers({ from: 20, to: "35" })).toEqual([35, 30, 25, 20]);
  expect(await numbers({ from: 50, to: 20 })).toEqual([]);
  for (const order of ["asc", "desc"]) {
    for (const available of [undefined, true, false]) {
      const whole = await numbers({ order, available });
      const paged: number[] = [];
      let cursor: string | undefined;
      do {
        const page = await list({ order, available, limit: 2, cursor });
        paged.push(...page.items.map((item) => item.changelist));
        cursor = page.nextCursor ?? undefined;
      } while (cursor !== undefined);
      expect(paged).toEqual(whole);
    }
  }
});

test("a cursor of another list gives a 400 or a page, never a database error", async () => {
  for (const value of [-9e15, -1, 0, 2_147_483_647, 9e15]) {
    for (const order of ["asc", "desc"]) {
      await list({ cursor: encodeCursor([value]), order });
    }
    await common({ packages: "calc", cursor: encodeCursor([value]) });
  }
  await expect(list({ cursor: "bogus" })).rejects.toMatchObject({ code: "BAD_REQUEST" });
  await expect(common({ packages: "calc", cursor: encodeCursor(["a"]) })).rejects.toMatchObject({
    code: "BAD_REQUEST",
  });
});

test("a changelist lists every build at it, the best first", async () => {
  const { available, builds } = await getChangelist(db.sql, { name: "calc", changelist: 30 });
  expect(available).toBe(true);
  expect(builds.map((build) => [build.root, build.available, build.goneAt !== null])).toEqual([
    ["root1", true, false],
    ["root0", false, true],
  ]);
  expect(builds[1]!.lastSeen).toBe(drop.readAt.toISOString());
});

test("a changelist without builds is not found, with the nearest available before and after", async () => {
  await expect(getChangelist(db.sql, { name: "calc", changelist: 32 })).rejects.toMatchObject({
    code: "NOT_FOUND",
    message:
      "The package calc has no build at changelist 32; the nearest available before is 30, after is 40.",
  });
  await expect(getChangelist(db.sql, { name: "empty", changelist: 6 })).rejects.toThrow(
    "it has no available build at all",
  );
  await expect(getChangelist(db.sql, { name: "nope", changelist: 6 })).rejects.toThrow(
    'No scan has seen a package "nope"',
  );
});

test("nearest finds only available builds, including an exact match; of two equally near the older", async () => {
  const near = async (changelist: number, direction: "before" | "after" | "either") => {
    const found = await getNearest(db.sql, { name: "calc", changelist, direction });
    return [found.changelist, found.distance];
  };
  expect(await near(30, "either")).toEqual([30, 0]);
  expect(await near(35, "either")).toEqual([30, 5]);
  expect(await near(36, "either")).toEqual([40, 4]);
  expect(await near(35, "before")).toEqual([30, 5]);
  expect(await near(35, "after")).toEqual([40, 5]);
  expect(await near(1, "either")).toEqual([20, 19]);
  await expect(near(10, "before")).rejects.toMatchObject({
    code: "NOT_FOUND",
    message:
      "The package calc has no available build at or before changelist 10; the nearest available before is none, after is 20.",
  });
});

test("the build to run is the newest available revision", async () => {
  expect(await getBuildFor(db.sql, "calc", 20)).toMatchObject({
    location: "file:///drop/one/calc/SW_20.2_calc.tgz",
    packageId: drop.packageId("calc"),
  });
  await expect(getBuildFor(db.sql, "calc", 10)).rejects.toThrow(
    "no available build at changelist 10; the nearest available before is none, after is 20",
  );
  await expect(getBuildFor(db.sql, "calc", 35)).rejects.toMatchObject({ code: "NOT_FOUND" });
});

test("common changelists are those where every package has an available build", async () => {
  const numbers = async (input: Record<string, unknown>) =>
    (await common(input)).items.map((item) => item.changelist);
  expect(await numbers({ packages: "calc,base" })).toEqual([20, 25, 30, 40]);
  expect(await numbers({ packages: "calc,base", from: 21, to: 39 })).toEqual([25, 30]);
  expect(await numbers({ packages: ["calc", "calc"] })).toEqual([20, 25, 30, 40]);
  expect(await numbers({ packages: "calc,empty" })).toEqual([]);
  await expect(common({ packages: "calc,what,huh" })).rejects.toThrow('the packages "what", "huh"');
});

test("common changelists equal the intersection of the sets, at any page size", async () => {
  let n = 0;
  const numbers = fc.uniqueArray(fc.integer({ min: 1, max: 60 }), { maxLength: 40 });
  await fc.assert(
    fc.asyncProperty(
      fc.array(numbers, { minLength: 1, maxLength: 3 }),
      fc.integer({ min: 1, max: 9 }),
      fc.integer({ min: 1, max: 12 }),
      async (sets, limit, maxProbes) => {
        const names = sets.map(() => `p${n++}`);
        for (const [at, set] of sets.entries()) await drop.add(at % 2, names[at]!, set);
        const paged: number[] = [];
        let cursor: string | undefined;
        do {
          const page = await common({ packages: names, limit, cursor }, { maxProbes });
          expect(page.items.length).toBeLessThanOrEqual(limit);
          paged.push(...page.items.map((item) => item.changelist));
          cursor = page.nextCursor ?? undefined;
        } while (cursor !== undefined);
        const [first, ...rest] = sets;
        expect(paged).toEqual(
          first!.filter((value) => rest.every((set) => set.includes(value))).sort((a, b) => a - b),
        );
      },
    ),
    { numRuns: 25 },
  );
});
