import type { Db } from "../../db/core/queryable.ts";
import { listDueTests } from "../../db/tests/tests.ts";
import type { Queue } from "../queue.ts";

const AT_ONCE = 1000;

/** Enqueues a scrape of each due test, unless one already waits. Returns how many were added. */
export async function enqueueDue({ sql, queue }: { sql: Db; queue: Queue }): Promise<number> {
  const due = await listDueTests(sql, AT_ONCE);
  return await queue.sendAll(
    "scrape",
    due.map((testId) => ({ data: { testId, cause: "schedule" }, singletonKey: String(testId) })),
  );
}
