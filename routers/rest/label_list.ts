import { z } from "zod";
import { addChangelists } from "../../db/axes/changelists.ts";
import { MAX_LIST, readLabelList } from "../../scrapers/mod.ts";
import { axisName } from "../../schemas/axis.ts";
import { changelist } from "../../schemas/common.ts";
import { parseInput, readQuery } from "./adapter.ts";
import { readBody } from "./body.ts";
import type { RestOnly } from "./route.ts";

const input = z.object({
  axis: axisName,
  first: changelist.default(1).meta({ description: "Number of the first label of a text" }),
});

/** `POST /api/axes/{axis}/changelists` with the output of `git rev-list --first-parent --reverse`. */
export const labelList: RestOnly = {
  method: "POST",
  path: "/api/axes/{axis}/changelists",
  summary: "Accepts text with one label per line, numbered from `first`, or with `<number> <label>` lines",
  role: "ingester",
  produces: "application/json",
  consumes: ["text/plain"],
  input,
  when: (c) => /^text\/plain\b/i.test(c.req.header("content-type") ?? ""),
  async handle(c) {
    const { axis, first } = parseInput(input, {
      ...readQuery(c.req.url, ["first"]),
      axis: c.get("params").axis,
    });
    const chunks = await Array.fromAsync(readBody(c.req.raw, c.get("hub"), { limit: MAX_LIST }));
    return c.json(await addChangelists(c.get("hub").sql, axis, readLabelList(chunks, { first })));
  },
};
