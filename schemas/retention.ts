import { z } from "zod";
import { id, text, time } from "./common.ts";

export const retentionPlan = z.object({
  keepDays: z.number().int().meta({ description: "KEEP_RESULTS_DAYS; 0: for ever" }),
  runs: z.number().int(),
  results: z.number().int(),
  partitions: z.number().int().meta({ description: "Of results: those that go whole" }),
  items: z.array(z.object({
    test: z.string(),
    keepDays: z.number().int(),
    runs: z.number().int().meta({ description: "Whose results would go" }),
    results: z.number().int(),
    samples: z.number().int(),
    oldest: time.nullable().meta({ description: "When the first of them was last written" }),
    newest: time.nullable(),
    held: z.number().int().meta({ description: "Runs as old that stay: pinned, or bad under a waiver" }),
  })).meta({ description: "Tests with runs that are old enough" }),
});
export type RetentionPlan = z.infer<typeof retentionPlan>;

export const runPin = z.object({
  id,
  pinned: z.boolean().meta({ description: "Whether its results stay, however old" }),
  reason: text(1000).optional(),
});
export type RunPin = z.infer<typeof runPin>;
