import { expect, test } from "vitest";
import { describeSchedule, isOverdue, scheduleOf } from "../../cron/schedule.ts";
import { timesOf } from "../../cron/times.ts";

const lines = scheduleOf({ dropScanCron: "0 3 * * *" });
const scan = lines.find((line) => line.name === "drop_scan")!;
const now = new Date("2026-03-02T10:00:00Z");

test("a scan missed while the hub was down is overdue; one that ran is not", () => {
  expect(isOverdue(scan, undefined, now)).toBe(true);
  expect(isOverdue(scan, new Date("2026-03-01T03:00:05Z"), now)).toBe(true);
  expect(isOverdue(scan, new Date("2026-03-02T03:00:05Z"), now)).toBe(false);
});

test("the schedule shows last and next times in UTC", () => {
  const described = describeSchedule(lines, new Map([["drop_scan", new Date("2026-03-02T03:00:05Z")]]), now);
  expect(described).toMatchObject([
    { name: "tick", lastAt: null, nextAt: "2026-03-02T10:01:00.000Z" },
    {
      name: "drop_scan",
      cron: "0 3 * * *",
      lastAt: "2026-03-02T03:00:05.000Z",
      nextAt: "2026-03-03T03:00:00.000Z",
    },
    { name: "lists", lastAt: null, nextAt: "2026-03-02T10:10:00.000Z" },
    { name: "retention", lastAt: null, nextAt: "2026-03-03T04:45:00.000Z" },
    { name: "housekeeping", lastAt: null, nextAt: "2026-03-03T04:30:00.000Z" },
  ]);
});

test("an invalid expression is rejected", () => {
  expect(() => timesOf("61 25 * * *", now)).toThrow("61 25 * * *");
});
