import { z } from "zod";
import { pinRun } from "../db/results/pins.ts";
import { listRunResults } from "../db/results/results.ts";
import { getRun, listRuns } from "../db/results/runs.ts";
import { listRunSamples } from "../db/results/samples.ts";
import { id } from "../schemas/common.ts";
import { resultPage, runResults } from "../schemas/result.ts";
import { runPin } from "../schemas/retention.ts";
import { type Run, run, runList, runPage } from "../schemas/run.ts";
import { runSamples, sampleInRunPage } from "../schemas/sample.ts";
import { authorOf, type Context, maySeeSecrets } from "./context.ts";
import { procedure, router } from "./trpc.ts";
import { outputSchema } from "./output_schema.ts";

export const runsRouter = router({
  list: procedure
    .meta({
      method: "GET",
      path: "/api/runs",
      summary: "List runs, newest first: by changelist for one test, else by time of arrival",
      role: "anyone",
    })
    .input(runList)
    .output(outputSchema(runPage))
    .query(async ({ ctx, input }) => {
      const page = await listRuns(ctx.sql, input);
      return { ...page, items: page.items.map((one) => shown(ctx, one)) };
    }),

  get: procedure
    .meta({ method: "GET", path: "/api/runs/{id}", summary: "Get a run", role: "anyone" })
    .input(z.object({ id }))
    .output(outputSchema(run))
    .query(async ({ ctx, input }) => shown(ctx, await getRun(ctx.sql, input.id))),

  pin: procedure
    .meta({
      method: "PATCH",
      path: "/api/runs/{id}",
      summary: "Pin a run, so that its results never expire, or unpin it",
      role: "triager",
    })
    .input(runPin)
    .output(outputSchema(run))
    .mutation(async ({ ctx, input }) => {
      await pinRun(ctx.sql, input, authorOf(ctx));
      return await getRun(ctx.sql, input.id);
    }),

  results: procedure
    .meta({
      method: "GET",
      path: "/api/runs/{id}/results",
      summary: "List the results of a run",
      role: "anyone",
    })
    .input(runResults)
    .output(outputSchema(resultPage))
    .query(({ ctx, input }) => listRunResults(ctx.sql, input)),

  samples: procedure
    .meta({
      method: "GET",
      path: "/api/runs/{id}/samples",
      summary: "List the measured values of a run, by case and metric",
      role: "anyone",
    })
    .input(runSamples)
    .output(outputSchema(sampleInRunPage))
    .query(({ ctx, input }) => listRunSamples(ctx.sql, input)),
});

function shown(ctx: Context, one: Run): Run {
  return !maySeeSecrets(ctx) ? { ...one, reason: null } : one;
}
