import type { Db } from "../../db/client.ts";
import { listDueTests } from "../../db/tests.ts";
import type { Queue } from "../queue.ts";

const AT_ONCE = 1000;

/** Enqueues a scrape of each test that is due; one that waits already is not added. Returns how many were added. */
export async function enqueueDue({ sql, queue }: { sql: Db; queue: Queue }): Promise<number> {
  let added = 0;
  for (const testId of await listDueTests(sql, AT_ONCE)) {
    if (await queue.send("scrape", { testId, cause: "schedule" }, { singletonKey: String(testId) })) added++;
  }
  return added;
}
