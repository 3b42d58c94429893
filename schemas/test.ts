import { z } from "zod";
import { flag, nameOf, nullableTime, pageInput, pageOf, text, time } from "./common.ts";
import { scrape } from "./scrape.ts";

export const testName = nameOf(200).meta({ description: "Name of the test" });
const MIN_INTERVAL_MS = 60_000;
const MAX_INTERVAL_MS = 366 * 86_400_000;

const submitDefaults = z.strictObject({
  labTest: nameOf(200).optional(),
  os: nameOf(100).optional(),
  machine: nameOf(100).optional(),
  pool: nameOf(100).optional(),
  package: nameOf(300).optional(),
});

const intervalMs = z.coerce.number().int().min(MIN_INTERVAL_MS).max(MAX_INTERVAL_MS).meta({
  description: "Time between scrapes, in ms",
});

const keepDays = z.coerce.number().int().min(0).max(36_500).nullable().meta({
  description: "Days that results are kept; 0: no expiry; null: KEEP_RESULTS_DAYS applies",
});

export const testInput = z.object({
  name: testName,
  scraper: z.string().min(1).max(100).meta({ description: "Tag of the scraper; see /api/scrapers" }),
  settings: z.record(z.string(), z.unknown()).default({}).meta({
    description: "Settings that match the scraper's JSON Schema; see /api/scrapers",
  }),
  submit: submitDefaults.default({}).meta({ description: "Defaults of the test's jobs" }),
  owner: nameOf(200).optional(),
  description: text(2000).optional(),
  intervalMs: intervalMs.default(3_600_000),
  enabled: flag.default(true),
  keepDays: keepDays.optional(),
});
export type TestInput = z.infer<typeof testInput>;

export const testPatch = z.object({
  name: testName,
  scraper: z.string().min(1).max(100).optional(),
  settings: z.record(z.string(), z.unknown()).optional(),
  submit: submitDefaults.optional(),
  owner: nameOf(200).nullable().optional(),
  description: text(2000).nullable().optional(),
  intervalMs: intervalMs.optional(),
  enabled: flag.optional(),
  keepDays: keepDays.optional(),
});
export type TestPatch = z.infer<typeof testPatch>;

export const testShape = z.object({
  name: z.string(),
  scraper: z.string(),
  settings: z.record(z.string(), z.unknown()).nullable().meta({ description: "Only for signed-in users" }),
  submit: submitDefaults.loose(),
  owner: z.string().nullable(),
  description: z.string().nullable(),
  intervalMs: z.number().int(),
  enabled: z.boolean(),
  keepDays: z.number().int().nullable().meta({
    description: "Days that results are kept; 0: no expiry; null: KEEP_RESULTS_DAYS applies",
  }),
  failures: z.number().int().meta({ description: "Consecutive failed scrapes" }),
  nextScrapeAt: nullableTime,
  lastScrape: scrape.nullable(),
  createdAt: time,
  updatedAt: time,
});
export type TestShape = z.infer<typeof testShape>;

export const testList = z.object({
  search: text(200).optional(),
  scraper: z.string().max(100).optional(),
  owner: z.string().max(200).optional(),
  enabled: flag.optional(),
  ...pageInput,
});
export type TestList = z.infer<typeof testList>;
export const testPage = pageOf(testShape);
