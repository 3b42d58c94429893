import { afterAll, beforeAll, expect, test } from "vitest";
import { startQueue } from "../../cron/boss.ts";
import type { Queue } from "../../cron/queue.ts";
import { countQueuedTasks, listQueuedTasks } from "../../db/work/queue.ts";
import { testDatabase } from "../helpers/postgres.ts";

let database: Awaited<ReturnType<typeof testDatabase>>;
let queue: Queue;

beforeAll(async () => {
  database = await testDatabase();
  queue = await startQueue(database.sql, { onError: () => {} });
});
afterAll(async () => {
  await queue.stop(1000);
  await database.drop();
});

test("a second task with the key of a waiting task is not added", async () => {
  expect(await queue.send("scan_drop", { full: false, cause: "request" }, { singletonKey: "scan" })).toBe(
    true,
  );
  expect(await queue.send("scan_drop", { full: true, cause: "request" }, { singletonKey: "scan" })).toBe(
    false,
  );
  expect(await queue.send("scrape", { testId: 1, cause: "request" }, { singletonKey: "1" })).toBe(true);
  expect(await queue.send("scrape", { testId: 2, cause: "request" }, { singletonKey: "2" })).toBe(true);
});

test("many tasks are enqueued at once; those already waiting are not added", async () => {
  const task = (testId: number) => ({
    data: { testId, cause: "schedule" as const },
    singletonKey: String(testId),
  });
  expect(await queue.sendAll("scrape", [task(11), task(12), task(11)])).toBe(2);
  expect(await queue.sendAll("scrape", [task(12), task(13)])).toBe(1);
  expect(await queue.sendAll("scrape", [])).toBe(0);
});

test("a task enqueued in a failed transaction is not enqueued", async () => {
  await expect(database.sql.begin(async (tx) => {
    await queue.send("cancel_job", { jobId: 1 }, { singletonKey: "1", tx });
    throw new Error("no");
  })).rejects.toThrow("no");
  expect((await countQueuedTasks(database.sql)).some((row) => row.name === "cancel_job")).toBe(false);
});

test("a worker receives the task's input; a failed task is not retried, and its error is shown", async () => {
  const got: number[] = [];
  const both = Promise.withResolvers<void>();
  await queue.work("submit_job", 1, ({ jobId }) => {
    got.push(jobId);
    if (got.length === 2) both.resolve();
    return jobId === 1 ? Promise.reject(new Error("boom")) : Promise.resolve();
  });
  await queue.send("submit_job", { jobId: 1 }, { singletonKey: "1" });
  await queue.send("submit_job", { jobId: 2 }, { singletonKey: "2" });
  await both.promise;
  const failed = () => listQueuedTasks(database.sql, { name: "submit_job", state: "failed", limit: 10 });
  await expect.poll(failed).toMatchObject([{ error: "boom", data: { jobId: 1 } }]);
  expect(got.sort()).toEqual([1, 2]);
});

test("workers that start concurrently on a new database all start", async () => {
  const fresh = await testDatabase();
  try {
    const queues = await Promise.all(
      Array.from({ length: 4 }, () => startQueue(fresh.sql, { onError: () => {} })),
    );
    expect(queues.map((each) => each.isRunning())).toEqual([true, true, true, true]);
    for (const each of queues) await each.stop(1000);
  } finally {
    await fresh.drop();
  }
});
