import { CronExpressionParser } from "cron-parser";
import { HubError } from "../errors.ts";

/**
 * Returns the times of a cron expression (UTC) before and after `now`.
 * @throws HubError BAD_REQUEST if the expression is invalid
 */
export function timesOf(cron: string, now: Date): { previous: Date; next: Date } {
  try {
    const options = { currentDate: now, tz: "UTC" };
    return {
      previous: CronExpressionParser.parse(cron, options).prev().toDate(),
      next: CronExpressionParser.parse(cron, options).next().toDate(),
    };
  } catch (error) {
    throw new HubError(
      "BAD_REQUEST",
      `The cron expression ${JSON.stringify(cron)} is invalid: it must have five fields, as in "0 3 * * *".`,
      {
        cause: error,
      },
    );
  }
}
