import { afterAll, beforeAll, expect, test } from "vitest";
import {
  finishScan,
  getScan,
  listScans,
  loseScans,
  recordProgress,
  startScan,
} from "../../../db/drop/scans.ts";
import { scanList } from "../../../schemas/scan.ts";
import { dropOf } from "../../helpers/drop_rows.ts";
import { type TestDatabase, testDatabase } from "../../helpers/postgres.ts";

let db: TestDatabase;
let rootId: number;
const startedAt = new Date("2024-06-01T03:00:00Z");
const later = (seconds: number) => new Date(startedAt.getTime() + seconds * 1000);
const counts = {
  packagesSeen: 3,
  packagesUnchanged: 1,
  packagesUnread: 1,
  buildsSeen: 9,
  buildsAdded: 4,
  buildsGone: 2,
  buildsBack: 1,
  unparsedCount: 5,
};
beforeAll(async () => {
  db = await testDatabase();
  rootId = (await dropOf(db.sql, ["file:///one"])).roots[0]!.id;
});
afterAll(() => db.drop());

const start = () => startScan(db.sql, { rootId, cause: "request", full: false, startedAt });
const report = {
  counts,
  unparsed: [{ place: "x", reason: "odd" }],
  unread: [{ place: "p", reason: "secret" }],
};

test("a scan shows its counts while it runs, and ends once", async () => {
  const id = await start();
  await recordProgress(db.sql, id, counts, later(5));
  expect(await getScan(db.sql, id, { showReasons: true })).toMatchObject({
    ...counts,
    root: "root0",
    url: "file:///one",
    state: "running",
    finishedAt: null,
    updatedAt: later(5).toISOString(),
  });
  await finishScan(db.sql, id, { state: "failed", error: "host secret", report, finishedAt: later(8) });
  await finishScan(db.sql, id, { state: "done", error: null, report, finishedAt: later(9) });
  expect(await getScan(db.sql, id, { showReasons: true })).toMatchObject({
    state: "failed",
    error: "host secret",
    durationMs: 8000,
    unread: report.unread,
    unparsed: report.unparsed,
  });
  const shown = await getScan(db.sql, id, { showReasons: false });
  expect(shown.error).toBeNull();
  expect(shown.unread).toEqual([{ place: "p", reason: "" }]);
  const { items } = await listScans(db.sql, scanList.parse({}), { showReasons: false });
  expect(JSON.stringify(items)).not.toContain("secret");
});

test("a lost scan stays lost, whatever its worker reports later", async () => {
  const id = await start();
  await recordProgress(db.sql, id, counts, later(5));
  await loseScans(db.sql, later(100));
  await recordProgress(db.sql, id, { ...counts, buildsSeen: 1000 }, later(101));
  await finishScan(db.sql, id, { state: "done", error: null, report, finishedAt: later(102) });
  expect(await getScan(db.sql, id, { showReasons: true })).toMatchObject({
    state: "lost",
    buildsSeen: 9,
    durationMs: 5000,
  });
});

test("scans are listed newest first, by state, in pages", async () => {
  await db.sql`delete from scans`;
  const ids: number[] = [];
  for (let n = 0; n < 5; n++) ids.push(await start());
  await finishScan(db.sql, ids[2]!, { state: "done", error: null, report, finishedAt: later(1) });
  const first = await listScans(db.sql, scanList.parse({ limit: 2 }), { showReasons: true });
  expect(first.items.map((item) => item.id)).toEqual([ids[4], ids[3]]);
  const rest = await listScans(db.sql, scanList.parse({ cursor: first.nextCursor }), { showReasons: true });
  expect(rest.items.map((item) => item.id)).toEqual([ids[2], ids[1], ids[0]]);
  expect(rest.nextCursor).toBeNull();
  const done = await listScans(db.sql, scanList.parse({ state: "done" }), { showReasons: true });
  expect(done.items.map((item) => item.id)).toEqual([ids[2]]);
  await expect(getScan(db.sql, 99_999, { showReasons: true })).rejects.toMatchObject({ code: "NOT_FOUND" });
});
