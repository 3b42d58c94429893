import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import {
  addBuilds,
  isRepeat,
  markUnseenGone,
  mergeBuilds,
  recordSeen,
} from "../../../db/drop/build_store.ts";
import { copyInto, copyValue } from "../../../db/core/copy.ts";
import { columnsOf, dropOf } from "../../helpers/drop_rows.ts";
import { type TestDatabase, testDatabase } from "../../helpers/postgres.ts";

let db: TestDatabase;
let drop: Awaited<ReturnType<typeof dropOf>>;
let root: number;
const seenAt = new Date("2024-06-01T00:00:00Z");
beforeAll(async () => {
  db = await testDatabase();
});
beforeEach(async () => {
  await db.sql`truncate roots, packages, package_readings, builds, seen_builds restart identity cascade`;
  drop = await dropOf(db.sql, ["file:///one"]);
  root = drop.roots[0]!.id;
});
afterAll(() => db.drop());

test("names with characters that copy escapes are stored unchanged", async () => {
  await drop.add(0, "p", []);
  const id = drop.packageId("p");
  const files = [
    "back\\slash",
    "tab\there",
    "line\nbreak",
    "return\r",
    "\\N",
    "\\.",
    "ünïcödé 🎉",
    "'quote\"",
  ];
  const found = {
    packageIds: files.map(() => id),
    changelists: files.map((_, at) => at + 1),
    revisions: files.map(() => 0),
    files,
    sizes: files.map((_, at) => at === 0 ? null : at),
  };
  expect(await db.sql.begin((tx) => addBuilds(tx, root, found, { seenAt }))).toBe(files.length);
  const rows = await db.sql`select file, size from builds order by changelist`;
  expect(rows.map((row) => row.file)).toEqual(files);
  expect(rows.map((row) => row.size)).toEqual(found.sizes);
  expect(copyValue("plain")).toBe("plain");
});

test("a rejected copy fails, and the connection stays usable", async () => {
  await drop.add(0, "p", [1]);
  const id = drop.packageId("p");
  // With few rows, the error arrives after the end of the rows was sent; with many, while they are being sent.
  for (const count of [1, 50_000]) {
    const twice = columnsOf(id, "p", Array.from({ length: count }, (_, at) => at + 1));
    const failed = await db.sql.begin((tx) => addBuilds(tx, root, twice, { seenAt })).catch((error) => error);
    expect(isRepeat(failed)).toBe(true);
    expect(await db.sql`select count(*)::int as count from builds`).toEqual([{ count: 1 }]);
  }
  const bad = db.sql.begin(async (tx) => {
    await copyInto(tx, tx`copy builds (root_id) from stdin`, "not a number\n");
  });
  await expect(bad).rejects.toThrow();
});

test("a merge writes only changed builds", async () => {
  await drop.add(0, "p", [1, 2, 3]);
  await drop.add(0, "q", [1]);
  const id = drop.packageId("p");
  const merge = (changelists: number[], { size = null as number | null, at = seenAt } = {}) =>
    db.sql.begin((tx) => {
      const found = columnsOf(id, "p", changelists);
      found.sizes = found.sizes.map(() => size);
      return mergeBuilds(tx, root, { found, completeIds: [id] }, { seenAt: at });
    });
  const before = await db.sql`select ctid::text, xmax::text, file from builds order by file`;
  expect(await merge([1, 2, 3])).toEqual({ added: 0, gone: 0, back: 0 });
  expect(await db.sql`select ctid::text, xmax::text, file from builds order by file`).toEqual(before);
  expect(await merge([2, 4, 4])).toEqual({ added: 1, gone: 2, back: 0 });
  expect(await merge([1, 2, 4], { size: 9 })).toEqual({ added: 0, gone: 0, back: 1 });
  const rows = await db.sql`
    select changelist, size, gone_at is not null as gone, last_seen from builds
    where package_id = ${id} order by changelist`;
  expect(rows.map((row) => [row.changelist, row.size, row.gone])).toEqual([
    [1, 9, false],
    [2, 9, false],
    [3, null, true],
    [4, 9, false],
  ]);
  expect(rows[2]!.last_seen).toEqual(drop.readAt);
  expect(
    await db.sql`select count(*)::int as count from builds where gone_at is null and package_id <> ${id}`,
  )
    .toEqual([{ count: 1 }]);
});

test("records lost during a reading mark nothing gone", async () => {
  await drop.add(0, "p", [1, 2, 3]);
  const packageId = drop.packageId("p");
  await recordSeen(db.sql, root, columnsOf(packageId, "p", [1, 2]));
  await db.sql`truncate seen_builds`;
  await recordSeen(db.sql, root, columnsOf(packageId, "p", [3]));
  const unseen = () => db.sql.begin((tx) => markUnseenGone(tx, root, { packageId, expected: 3 }, seenAt));
  await expect(unseen()).rejects.toThrow("Only 1 of 3 seen builds are still recorded");
  await recordSeen(db.sql, root, columnsOf(packageId, "p", [1]));
  expect(await db.sql.begin((tx) => markUnseenGone(tx, root, { packageId, expected: 2 }, seenAt))).toBe(1);
  expect(await db.sql`select changelist from builds where gone_at is not null`).toEqual([{ changelist: 2 }]);
});
