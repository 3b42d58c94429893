import { listSamples } from "../db/results/samples.ts";
import { sampleList, samplePage } from "../schemas/sample.ts";
import { procedure, router } from "./trpc.ts";
import { outputSchema } from "./output_schema.ts";

export const samplesRouter = router({
  list: procedure
    .meta({
      method: "GET",
      path: "/api/samples",
      summary: "List the values of a case's metric, newest changelist first",
      role: "anyone",
    })
    .input(sampleList)
    .output(outputSchema(samplePage))
    .query(({ ctx, input }) => listSamples(ctx.sql, input)),
});
