import { timesOf } from "./times.ts";

/** An entry of the schedule. */
export interface ScheduleLine {
  name: "tick" | "drop_scan" | "lists" | "retention" | "housekeeping";
  /** Cron expression, UTC. */
  cron: string;
  summary: string;
}

/** The only table of cron expressions. Cron only ticks; Postgres decides what is due. */
export function scheduleOf(config: { dropScanCron: string }): ScheduleLine[] {
  return [
    {
      name: "tick",
      cron: "* * * * *",
      summary: "Enqueues scrapes that are due, and recovers jobs that a lost worker left behind",
    },
    { name: "drop_scan", cron: config.dropScanCron, summary: "Scans the binary drop" },
    {
      name: "lists",
      cron: "*/10 * * * *",
      summary: "Reads the lists that assign numbers to the labels of axes",
    },
    {
      name: "retention",
      cron: "45 4 * * *",
      summary: "Deletes results past their test's retention",
    },
    {
      name: "housekeeping",
      cron: "30 4 * * *",
      summary: "Deletes old records of scrapes and scans, and old Idempotency-Keys",
    },
  ];
}

/** Returns the schedule with each entry's last completed and next time. */
export function describeSchedule(lines: ScheduleLine[], lastTimes: Map<string, Date>, now: Date) {
  return lines.map((line) => ({
    ...line,
    lastAt: lastTimes.get(line.name)?.toISOString() ?? null,
    nextAt: timesOf(line.cron, now).next.toISOString(),
  }));
}

/** Whether an entry missed its last time, for example while the hub was down. */
export function isOverdue(line: ScheduleLine, lastAt: Date | undefined, now: Date): boolean {
  return lastAt === undefined || lastAt < timesOf(line.cron, now).previous;
}
