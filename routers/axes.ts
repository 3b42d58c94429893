import { z } from "zod";
import { configureAxis, getAxis, listAxes } from "../db/axes/axes.ts";
import { addChangelists, listChangelists } from "../db/axes/changelists.ts";
import { checkListUrl, readPolicyOf } from "../scrapers/mod.ts";
import {
  axisPatch,
  type AxisShape,
  axisShape,
  labelledAnswer,
  labelledInput,
  labelledList,
  labelledPage,
} from "../schemas/axis.ts";
import { authorOf, type Context, maySeeSecrets } from "./context.ts";
import { procedure, router } from "./trpc.ts";
import { outputSchema } from "./output_schema.ts";

export const axesRouter = router({
  list: procedure
    .meta({
      method: "GET",
      path: "/api/axes",
      summary: "List axes and how their labels are numbered",
      role: "anyone",
    })
    .input(z.object({}))
    .output(outputSchema(z.object({ items: z.array(axisShape) })))
    .query(async ({ ctx }) => ({ items: (await listAxes(ctx.sql)).map((axis) => shownAxis(ctx, axis)) })),

  configure: procedure
    .meta({
      method: "PATCH",
      path: "/api/axes/{axis}",
      summary: "Configure how labels are numbered on an axis; creates the axis if it does not exist",
      role: "admin",
    })
    .input(axisPatch)
    .output(outputSchema(axisShape))
    .mutation(async ({ ctx, input }) => {
      if (typeof input.listUrl === "string") await checkListUrl(readPolicyOf(ctx.config), input.listUrl);
      await configureAxis(ctx.sql, input, authorOf(ctx));
      if (typeof input.listUrl === "string") {
        await ctx.queue.send("read_lists", {}, { singletonKey: "lists" });
      }
      return await getAxis(ctx.sql, input.axis);
    }),

  changelists: procedure
    .meta({
      method: "GET",
      path: "/api/axes/{axis}/changelists",
      summary: "List the labelled changelists of an axis, newest first",
      role: "anyone",
    })
    .input(labelledList)
    .output(outputSchema(labelledPage))
    .query(({ ctx, input }) => listChangelists(ctx.sql, input)),

  addChangelists: procedure
    .meta({
      method: "POST",
      path: "/api/axes/{axis}/changelists",
      summary: "Add labelled changelists, all or none; existing ones are left unchanged",
      role: "ingester",
    })
    .input(labelledInput)
    .output(outputSchema(labelledAnswer))
    .mutation(({ ctx, input }) => addChangelists(ctx.sql, input.axis, [input.changelists])),
});

function shownAxis(ctx: Context, axis: AxisShape): AxisShape {
  return maySeeSecrets(ctx) ? axis : { ...axis, listUrl: null, listError: null };
}
