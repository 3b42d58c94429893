import { z } from "zod";
import { changelist, changelistInput, nameOf, nullableTime, pageInput, pageOf } from "./common.ts";

const LABEL_ORDERS = ["list", "time"] as const;
export const axisName = nameOf(64);
/** A commit hash or any other name of a changelist, without white space. */
const label = nameOf(200).regex(/^\S+$/, "must not contain white space");

export const axisShape = z.object({
  axis: z.string(),
  labels: z.enum(LABEL_ORDERS).nullable().meta({
    description:
      "How a label gets its number: `list`: its position in a list; `time`: its commit's time in seconds since 1970; null: the axis takes numbers only",
  }),
  listUrl: z.string().nullable().meta({ description: "URL of the list; only for signed-in users" }),
  listReadAt: nullableTime,
  listError: z.string().nullable().meta({
    description: "Why the last read of the list failed; only for signed-in users",
  }),
  newest: z.object({ number: changelist, label: z.string() }).nullable().meta({
    description: "The labelled changelist with the highest number",
  }),
});
export type AxisShape = z.infer<typeof axisShape>;

export const axisPatch = z.object({
  axis: axisName,
  labels: z.enum(LABEL_ORDERS).nullable().optional(),
  listUrl: z.string().max(2000).regex(/^(?:file:\/\/\/|https?:\/\/)/, "must be a file:, http: or https: URL")
    .nullable().optional().meta({
      description:
        "URL of a text with one label per line, oldest first (`git rev-list --first-parent --reverse`), or with `<number> <label>` lines",
    }),
});
export type AxisPatch = z.infer<typeof axisPatch>;

export const labelled = z.object({ number: changelist, label });
export type Labelled = z.infer<typeof labelled>;
export const labelledList = z.object({
  axis: axisName,
  from: changelistInput.optional(),
  to: changelistInput.optional(),
  ...pageInput,
});
export type LabelledList = z.infer<typeof labelledList>;
export const labelledPage = pageOf(z.object({ number: changelist, label: z.string() }));

export const labelledInput = z.object({
  axis: axisName,
  changelists: z.array(labelled).min(1).max(100_000),
});
export const labelledAnswer = z.object({ added: z.number().int(), present: z.number().int() });
export type LabelledAnswer = z.infer<typeof labelledAnswer>;
