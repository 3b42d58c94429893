import { timesOf } from "./times.ts";

/** One line of the schedule. */
export interface ScheduleLine {
  name: "tick" | "drop_scan" | "lists" | "retention" | "housekeeping";
  /** Cron expression, UTC. */
  cron: string;
  summary: string;
}

/** The one table of cron expressions. Cron only ticks: what is due is a question to Postgres. */
export function scheduleOf(config: { dropScanCron: string }): ScheduleLine[] {
  return [
    {
      name: "tick",
      cron: "* * * * *",
      summary: "Enqueues scrapes that are due and takes up jobs that were left behind",
    },
    { name: "drop_scan", cron: config.dropScanCron, summary: "Scans the binary drop" },
    {
      name: "lists",
      cron: "*/10 * * * *",
      summary: "Reads the lists that number the labels of axes",
    },
    {
      name: "retention",
      cron: "45 4 * * *",
      summary: "Deletes results that are older than their test keeps them",
    },
    {
      name: "housekeeping",
      cron: "30 4 * * *",
      summary: "Forgets old records of scrapes and scans, and old Idempotency-Keys",
    },
  ];
}

/** The schedule with the last time each line did its work and its next time. */
export function describeSchedule(lines: ScheduleLine[], lastTimes: Map<string, Date>, now: Date) {
  return lines.map((line) => ({
    ...line,
    lastAt: lastTimes.get(line.name)?.toISOString() ?? null,
    nextAt: timesOf(line.cron, now).next.toISOString(),
  }));
}

/** Whether a line's last time has gone by without it, as while the hub was down. */
export function isOverdue(line: ScheduleLine, lastAt: Date | undefined, now: Date): boolean {
  return lastAt === undefined || lastAt < timesOf(line.cron, now).previous;
}
