import { z } from "zod";
import { id, nullableTime, time } from "./common.ts";
import { counts } from "./outcome.ts";
import { resultRecord, runHead } from "./record.ts";

const ignoredSample = z.object({ place: z.string(), reason: z.string() });

export const scrape = z.object({
  id,
  state: z.enum(["running", "done", "failed", "lost"]),
  cause: z.string(),
  startedAt: time,
  finishedAt: nullableTime,
  durationMs: z.number().int().nullable(),
  watermarkBefore: z.string().nullable(),
  watermarkAfter: z.string().nullable(),
  seen: z.number().int(),
  kept: z.number().int(),
  ignored: z.record(z.string(), z.number().int()).nullable().meta({
    description: "Reason -> count; for the signed-in",
  }),
  samples: z.array(ignoredSample).nullable().meta({
    description:
      "The first 20 that were ignored, by run and case; of a test's last scrape, for the signed-in",
  }),
  runsAdded: z.number().int(),
  resultsWritten: z.number().int(),
  error: z.string().nullable().meta({ description: "For the signed-in" }),
});
export type Scrape = z.infer<typeof scrape>;

/** What asking for a scrape answers: enqueued, or for a dry run what would be stored. */
export const scrapeAnswer = z.object({
  enqueued: z.boolean().meta({ description: "false for a dry run, and where one was waiting already" }),
  dryRun: z.object({
    runs: z.number().int(),
    results: z.number().int(),
    items: z.array(runHead.extend({ counts, results: z.array(resultRecord) })).meta({
      description: "The first 20, with 5 results each",
    }),
    watermark: z.string().nullable(),
    isCut: z.boolean().meta({ description: "Whether the time limit ended it" }),
    seen: z.number().int(),
    ignored: z.record(z.string(), z.number().int()),
    samples: z.array(ignoredSample),
  }).nullable(),
});

export const scraperShape = z.object({
  tag: z.string(),
  summary: z.string(),
  settings: z.record(z.string(), z.unknown()).meta({ description: "JSON Schema of a test's settings" }),
  health: z.object({
    tests: z.number().int(),
    enabled: z.number().int(),
    due: z.number().int(),
    failing: z.array(z.object({ test: z.string(), failures: z.number().int(), error: z.string().nullable() }))
      .meta({
        description: "The worst 20; errors for the signed-in",
      }),
    lastSuccessAt: nullableTime,
    averageMs: z.number().int().nullable().meta({ description: "Of the last day's scrapes" }),
  }),
});
