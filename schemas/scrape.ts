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
    description: "Count by reason; only for signed-in users",
  }),
  samples: z.array(ignoredSample).nullable().meta({
    description:
      "The first 20 ignored items, by run and case; of a test's last scrape, only for signed-in users",
  }),
  runsAdded: z.number().int(),
  resultsWritten: z.number().int(),
  error: z.string().nullable().meta({ description: "Only for signed-in users" }),
});
export type Scrape = z.infer<typeof scrape>;

/** Response to a scrape request: whether it was enqueued, or for a dry run what would be stored. */
export const scrapeAnswer = z.object({
  enqueued: z.boolean().meta({ description: "false for a dry run, or if a scrape was already queued" }),
  dryRun: z.object({
    runs: z.number().int(),
    results: z.number().int(),
    items: z.array(runHead.extend({ counts, results: z.array(resultRecord) })).meta({
      description: "The first 20 runs, with 5 results each",
    }),
    watermark: z.string().nullable(),
    isCut: z.boolean().meta({ description: "Whether the time limit ended the scrape" }),
    seen: z.number().int(),
    ignored: z.record(z.string(), z.number().int()),
    samples: z.array(ignoredSample),
  }).nullable(),
});

export const scraperShape = z.object({
  tag: z.string(),
  summary: z.string(),
  settings: z.record(z.string(), z.unknown()).meta({
    description: "JSON Schema of the settings of a test with this scraper",
  }),
  health: z.object({
    tests: z.number().int(),
    enabled: z.number().int(),
    due: z.number().int(),
    failing: z.array(z.object({ test: z.string(), failures: z.number().int(), error: z.string().nullable() }))
      .meta({
        description: "The 20 tests with the most failures; errors only for signed-in users",
      }),
    lastSuccessAt: nullableTime,
    averageMs: z.number().int().nullable().meta({
      description: "Average duration of the last day's scrapes",
    }),
  }),
});
