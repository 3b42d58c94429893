import { z } from "zod";
import { cancelJob, createJobs, retryJob } from "../db/jobs/job_requests.ts";
import { getJob, listJobs, listJobsById } from "../db/jobs/jobs.ts";
import type { Queryable } from "../db/core/queryable.ts";
import { id } from "../schemas/common.ts";
import { type Job, jobBatch, type JobDetail, jobDetail, jobInput, jobList, jobPage } from "../schemas/job.ts";
import { authorOf, type Context, maySeeSecrets } from "./context.ts";
import { procedure, router } from "./trpc.ts";
import { outputSchema } from "./output_schema.ts";

const jobId = z.object({ id });

export const jobsRouter = router({
  list: procedure
    .meta({ method: "GET", path: "/api/vrl/jobs", summary: "List jobs, newest first", role: "anyone" })
    .input(jobList)
    .output(outputSchema(jobPage))
    .query(async ({ ctx, input }) => {
      const { items, nextCursor } = await listJobs(ctx.sql, input);
      return { items: maySeeSecrets(ctx) ? items : items.map(hidden), nextCursor };
    }),

  submit: procedure
    .meta({
      method: "POST",
      path: "/api/vrl/jobs",
      summary: "Submit a test to the lab at one or several changelists; accepts an Idempotency-Key",
      role: "submitter",
      statuses: [201, 200],
    })
    .input(jobInput)
    .output(outputSchema(z.union([jobDetail, jobBatch])))
    .mutation(async ({ ctx, input }) => {
      await ctx.checkSubmitter();
      const { ids, isNew } = await createJobs(ctx.sql, input, requestOf(ctx, "submit_job"));
      ctx.reply.status = isNew ? 201 : 200;
      const first = await getJob(ctx.sql, ids[0]!);
      if (input.changelists === undefined) return first;
      return { jobs: await listJobsById(ctx.sql, ids), warnings: first.warnings };
    }),

  get: procedure
    .meta({
      method: "GET",
      path: "/api/vrl/jobs/{id}",
      summary: "Get a job with its output, serials, runs and history",
      role: "anyone",
    })
    .input(jobId)
    .output(outputSchema(jobDetail))
    .query(async ({ ctx, input }) => shown(ctx, await getJob(ctx.sql, input.id))),

  cancel: procedure
    .meta({
      method: "POST",
      path: "/api/vrl/jobs/{id}/cancel",
      summary: "Cancel a job; a job in the lab is cancelled there first",
      role: "submitter",
      statuses: [202],
    })
    .input(jobId)
    .output(outputSchema(jobDetail))
    .mutation(async ({ ctx, input }) => {
      await cancelJob(ctx.sql, input.id, requestOf(ctx, "cancel_job"));
      ctx.reply.status = 202;
      return await getJob(ctx.sql, input.id);
    }),

  retry: procedure
    .meta({
      method: "POST",
      path: "/api/vrl/jobs/{id}/retry",
      summary: "Submit a finished or unknown job again, as a new job",
      role: "submitter",
      statuses: [201, 200],
    })
    .input(jobId)
    .output(outputSchema(jobDetail))
    .mutation(async ({ ctx, input }) => {
      await ctx.checkSubmitter();
      const made = await retryJob(ctx.sql, input.id, requestOf(ctx, "submit_job"));
      ctx.reply.status = made.isNew ? 201 : 200;
      return await getJob(ctx.sql, made.id);
    }),
});

function requestOf(ctx: Context, task: "submit_job" | "cancel_job") {
  return {
    by: authorOf(ctx),
    idempotencyKey: ctx.idempotencyKey,
    dropRoots: ctx.config.dropRoots.map((root) => root.url),
    enqueue: (tx: Queryable, jobIds: number[]) =>
      ctx.queue.sendAll(task, jobIds.map((jobId) => ({ data: { jobId }, singletonKey: String(jobId) })), {
        tx,
      }),
  };
}

function hidden<T extends Job>(job: T): T {
  return { ...job, reason: null };
}

/** Hides output, which may contain secrets, from anonymous callers. */
function shown(ctx: Context, detail: JobDetail): JobDetail {
  if (maySeeSecrets(ctx)) return detail;
  return {
    ...hidden(detail),
    stdout: null,
    stderr: null,
    events: detail.events.map((event) => ({ ...event, cause: null })),
  };
}
