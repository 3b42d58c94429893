import { z } from "zod";
import { changelist, changelistInput, id, nullableTime, pageInput, pageOf, time } from "./common.ts";
import { counts } from "./outcome.ts";
import { environment, RUN_STATES } from "./record.ts";

/** Required environment keys: `os=linux,gpu=x`, a JSON object in a string, or an object. */
export const environmentFilter = z.preprocess((value) => {
  if (typeof value !== "string") return value;
  if (value.startsWith("{")) {
    try {
      return JSON.parse(value);
    } catch {
      return value;
    }
  }
  return Object.fromEntries(
    value.split(",").filter(Boolean).map((pair) => {
      const at = pair.indexOf("=");
      return at < 0 ? [pair, ""] : [pair.slice(0, at), pair.slice(at + 1)];
    }),
  );
}, environment).meta({ description: "Required environment keys: `os=linux,gpu=x`, or a JSON object" });

const range = {
  changelist: changelistInput.optional(),
  from: changelistInput.optional().meta({ description: "Lowest changelist" }),
  to: changelistInput.optional().meta({ description: "Highest changelist" }),
};
const axisName = z.string().min(1).max(64).default("main");

export const run = z.object({
  id,
  test: z.string(),
  source: z.string(),
  externalId: z.string(),
  attempt: z.number().int(),
  axis: z.string(),
  changelist,
  label: z.string().nullable().meta({ description: "Label of the changelist, such as a commit hash" }),
  package: z.string().nullable(),
  environment: z.record(z.string(), z.string()),
  status: z.enum(RUN_STATES),
  counts,
  samples: z.number().int().meta({ description: "Number of measured values" }),
  startedAt: nullableTime,
  finishedAt: nullableTime,
  durationMs: z.number().int().nullable(),
  url: z.string().nullable(),
  serial: z.number().int().nullable().meta({ description: "The lab's serial, if the run was in the lab" }),
  version: z.number().int().meta({ description: "Increases whenever a repeated push replaces the results" }),
  createdAt: time,
  pinned: z.boolean().meta({ description: "Whether the run's results never expire" }),
  expiredAt: nullableTime.meta({
    description: "When the results were deleted because of their age; counts are kept",
  }),
  reason: z.string().nullable().meta({ description: "Reason of a lab_error; only for signed-in users" }),
});
export type Run = z.infer<typeof run>;

export const runList = z.object({
  test: z.string().min(1).max(200).optional(),
  axis: axisName,
  ...range,
  environment: environmentFilter.optional(),
  status: z.enum(RUN_STATES).optional(),
  source: z.string().max(500).optional(),
  ...pageInput,
});
export type RunList = z.infer<typeof runList>;
export const runPage = pageOf(run);
export { axisName, range };
