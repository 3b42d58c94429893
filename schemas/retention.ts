import { z } from "zod";
import { id, text, time } from "./common.ts";

export const retentionPlan = z.object({
  keepDays: z.number().int().meta({ description: "KEEP_RESULTS_DAYS; 0: no expiry" }),
  runs: z.number().int(),
  results: z.number().int(),
  partitions: z.number().int().meta({
    description: "Number of result partitions that would be dropped whole",
  }),
  items: z.array(z.object({
    test: z.string(),
    keepDays: z.number().int(),
    runs: z.number().int().meta({ description: "Number of runs whose results would be deleted" }),
    results: z.number().int(),
    samples: z.number().int(),
    oldest: time.nullable().meta({ description: "When the oldest of these runs was last written" }),
    newest: time.nullable(),
    held: z.number().int().meta({
      description: "Number of runs of the same age that are kept: pinned, or bad under a waiver",
    }),
  })).meta({ description: "Tests with expired runs" }),
});
export type RetentionPlan = z.infer<typeof retentionPlan>;

export const runPin = z.object({
  id,
  pinned: z.boolean().meta({ description: "Whether the run's results never expire" }),
  reason: text(1000).optional(),
});
export type RunPin = z.infer<typeof runPin>;
