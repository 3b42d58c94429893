import { CronExpressionParser } from "cron-parser";
import { HubError } from "../errors.ts";

/** The times of a cron expression (UTC) before and after `now`. @throws HubError BAD_REQUEST where it is not one. */
export function timesOf(cron: string, now: Date): { previous: Date; next: Date } {
  try {
    const options = { currentDate: now, tz: "UTC" };
    return {
      previous: CronExpressionParser.parse(cron, options).prev().toDate(),
      next: CronExpressionParser.parse(cron, options).next().toDate(),
    };
  } catch (error) {
    throw new HubError("BAD_REQUEST", `The cron expression ${JSON.stringify(cron)} cannot be read.`, {
      cause: error,
    });
  }
}
