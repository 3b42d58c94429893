import { z } from "zod";
import { changelist, changelistInput, id, nullableTime, pageInput, pageOf, time } from "./common.ts";
import { counts } from "./outcome.ts";
import { environment, RUN_STATES } from "./record.ts";

/** `os=linux,gpu=x`, a JSON object in a string, or an object: keys a run's environment must have. */
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
}, environment).meta({ description: "Keys the environment must have: `os=linux,gpu=x`, or a JSON object" });

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
  label: z.string().nullable().meta({ description: "The changelist's, as a commit's hash" }),
  package: z.string().nullable(),
  environment: z.record(z.string(), z.string()),
  status: z.enum(RUN_STATES),
  counts,
  samples: z.number().int().meta({ description: "Number of values measured in it" }),
  startedAt: nullableTime,
  finishedAt: nullableTime,
  durationMs: z.number().int().nullable(),
  url: z.string().nullable(),
  serial: z.number().int().nullable().meta({ description: "The lab's, where it ran there" }),
  version: z.number().int().meta({ description: "Grows when a repeat replaces the results" }),
  createdAt: time,
  pinned: z.boolean().meta({ description: "Whether its results stay, however old" }),
  expiredAt: nullableTime.meta({
    description: "When its results were deleted for their age; its counts stay",
  }),
  reason: z.string().nullable().meta({ description: "Of a lab_error; for the signed-in" }),
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
