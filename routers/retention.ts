import { z } from "zod";
import { audited } from "../db/access/audit.ts";
import { planSweep } from "../db/results/retention.ts";
import { retentionPlan } from "../schemas/retention.ts";
import { authorOf } from "./context.ts";
import { procedure, router } from "./trpc.ts";
import { outputSchema } from "./output_schema.ts";

export const retentionRouter = router({
  plan: procedure
    .meta({
      method: "GET",
      path: "/api/retention",
      summary: "List what a retention sweep would delete now, by test; deletes nothing",
      role: "viewer",
    })
    .input(z.object({}))
    .output(outputSchema(retentionPlan))
    .query(({ ctx }) => planSweep(ctx.sql, { keepDays: ctx.config.keepResultsDays, now: ctx.now() })),

  sweep: procedure
    .meta({
      method: "POST",
      path: "/api/retention/sweep",
      summary: "Enqueue a retention sweep, which deletes expired results, as every night",
      role: "admin",
      statuses: [202],
    })
    .input(z.object({}))
    .output(outputSchema(z.object({ enqueued: z.boolean() })))
    .mutation(async ({ ctx }) => {
      ctx.reply.status = 202;
      return {
        enqueued: await audited(
          ctx.sql,
          authorOf(ctx),
          { action: "retention.sweep", object: "retention" },
          (tx) => ctx.queue.send("sweep_results", {}, { singletonKey: "sweep", tx }),
        ),
      };
    }),
});
