import { listTicks, recordTick } from "../db/work/schedule_runs.ts";
import { isOverdue, type ScheduleLine, scheduleOf } from "./schedule.ts";
import { enqueueDue } from "./tasks/enqueue_due.ts";
import { keepHouse } from "./tasks/housekeeping.ts";
import type { JobDeps } from "./tasks/job_deps.ts";
import { tickJobs } from "./tasks/jobs.ts";

/** Does the work of a schedule entry. */
export async function runLine(deps: JobDeps, name: ScheduleLine["name"], now: Date): Promise<void> {
  if (name === "tick") await tick(deps, now);
  else if (name === "drop_scan") await enqueueScan(deps, "schedule");
  else if (name === "lists") await enqueueOnce(deps, name, "read_lists");
  else if (name === "retention") await enqueueOnce(deps, name, "sweep_results");
  else await keepHouse(deps, now);
}

/**
 * Runs every minute and at the start: enqueues due scrapes, recovers abandoned jobs, and makes up for missed daily work.
 */
export async function tick(deps: JobDeps, now: Date): Promise<void> {
  const { sql, queue, config } = deps;
  await enqueueDue({ sql, queue });
  await tickJobs(deps);
  const ticks = await listTicks(sql);
  for (const line of scheduleOf(config)) {
    if (line.name === "tick" || !isOverdue(line, ticks.get(line.name), now)) continue;
    if (line.name === "drop_scan") await enqueueScan(deps, "missed");
    else await runLine(deps, line.name, now);
  }
  await recordTick(sql, "tick");
}

/** Enqueues a scan and records its schedule entry as done, in one transaction. */
async function enqueueScan({ sql, queue }: JobDeps, cause: "schedule" | "missed"): Promise<void> {
  await sql.begin(async (tx) => {
    await queue.send("scan_drop", { full: false, cause }, { singletonKey: "scan", tx });
    await recordTick(tx, "drop_scan");
  });
}

/** Enqueues a task without input, and records its schedule entry as done. */
async function enqueueOnce(
  { sql, queue }: JobDeps,
  line: ScheduleLine["name"],
  task: "read_lists" | "sweep_results",
): Promise<void> {
  await sql.begin(async (tx) => {
    await queue.send(task, {}, { singletonKey: line, tx });
    await recordTick(tx, line);
  });
}
