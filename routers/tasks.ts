import { z } from "zod";
import { describeSchedule, scheduleOf } from "../cron/schedule.ts";
import { countQueuedTasks, listQueuedTasks } from "../db/work/queue.ts";
import { listTicks } from "../db/work/schedule_runs.ts";
import { nullableTime, time } from "../schemas/common.ts";
import { queuedTask } from "../schemas/job.ts";
import { maySeeSecrets } from "./context.ts";
import { procedure, router } from "./trpc.ts";
import { outputSchema } from "./output_schema.ts";

const STATES = ["created", "retry", "active", "completed", "cancelled", "failed"] as const;

export const tasksRouter = router({
  list: procedure
    .meta({
      method: "GET",
      path: "/api/tasks",
      summary: "Show the queue: counts by task and state, and the newest tasks",
      role: "anyone",
    })
    .input(z.object({
      name: z.string().max(100).optional(),
      state: z.enum(STATES).optional(),
      limit: z.coerce.number().int().min(1).max(1000).default(50),
    }))
    .output(outputSchema(z.object({
      counts: z.array(z.object({ name: z.string(), state: z.string(), count: z.number().int() })),
      items: z.array(queuedTask),
    })))
    .query(async ({ ctx, input }) => {
      const [counts, items] = await Promise.all([countQueuedTasks(ctx.sql), listQueuedTasks(ctx.sql, input)]);
      return {
        counts,
        items: !maySeeSecrets(ctx) ? items.map((item) => ({ ...item, data: null, error: null })) : items,
      };
    }),

  schedule: procedure
    .meta({
      method: "GET",
      path: "/api/tasks/schedule",
      summary: "List the cron schedule with last and next times",
      role: "anyone",
    })
    .input(z.object({}))
    .output(outputSchema(z.object({
      items: z.array(
        z.object({
          name: z.string(),
          cron: z.string(),
          summary: z.string(),
          lastAt: nullableTime,
          nextAt: time,
        }),
      ),
    })))
    .query(async ({ ctx }) => ({
      items: describeSchedule(scheduleOf(ctx.config), await listTicks(ctx.sql), ctx.now()),
    })),
});
