import { listTicks, recordTick } from "../db/ticks.ts";
import { isOverdue, scheduleOf } from "./schedule.ts";
import { enqueueDue } from "./tasks/enqueue_due.ts";
import { type JobDeps, tickJobs } from "./tasks/jobs.ts";

/** What every minute brings, and what a start makes up: due scrapes, jobs left behind, a scan that was missed. */
export async function tick(deps: JobDeps, now: Date): Promise<void> {
  const { sql, queue, config } = deps;
  await enqueueDue({ sql, queue });
  await tickJobs(deps);
  const scan = scheduleOf(config).find((line) => line.name === "drop_scan")!;
  if (isOverdue(scan, (await listTicks(sql)).get(scan.name), now)) await enqueueScan(deps, "missed");
  await recordTick(sql, "tick");
}

/** Enqueues a scan and records that the schedule's line had its turn, in one transaction. */
export async function enqueueScan({ sql, queue }: JobDeps, cause: "schedule" | "missed"): Promise<void> {
  await sql.begin(async (tx) => {
    await queue.send("scan_drop", { full: false, cause }, { singletonKey: "scan", tx });
    await recordTick(tx, "drop_scan");
  });
}
