import { z } from "zod";
import { changelist, id, pageInput, pageOf, text } from "./common.ts";
import { axisName, environmentFilter, range } from "./run.ts";

const measured = {
  runId: id,
  case: z.string(),
  metric: z.string(),
  unit: z.string().meta({ description: "Empty if the source states none" }),
  ordinal: z.number().int().meta({
    description: "From 1: n for the nth value of the metric for the case in the run",
  }),
  value: z.union([z.number(), z.string()]).meta({
    description: "A number, or text such as a binary's hash",
  }),
};

const sampleInRun = z.object(measured);
export type SampleInRun = z.infer<typeof sampleInRun>;
export const runSamples = z.object({ id, ...pageInput });
export type RunSamples = z.infer<typeof runSamples>;
export const sampleInRunPage = pageOf(sampleInRun);

const sampleAt = z.object({
  ...measured,
  changelist,
  package: z.string().nullable(),
  environment: z.record(z.string(), z.string()),
});
export type SampleAt = z.infer<typeof sampleAt>;
export const sampleList = z.object({
  test: z.string().min(1).max(200),
  case: text(1000),
  metric: z.string().min(1).max(200),
  axis: axisName,
  ...range,
  environment: environmentFilter.optional(),
  ...pageInput,
});
export type SampleList = z.infer<typeof sampleList>;
export const samplePage = pageOf(sampleAt);
