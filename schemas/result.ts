import { z } from "zod";
import { axis, changelist, id, listOf, moment, nameOf, pageInput, pageOf, text } from "./common.ts";
import { counts, outcome } from "./outcome.ts";
import { environment, runChangelist, runUrl } from "./record.ts";
import { axisName, environmentFilter, range } from "./run.ts";

const result = z.object({
  runId: id,
  case: z.string(),
  ordinal: z.number().int().meta({ description: "From 1: the nth time the run names the case" }),
  outcome,
  word: z.string().nullable().meta({ description: "The source's own, where it is another" }),
  durationMs: z.number().nullable(),
  message: z.string().nullable(),
});
export type Result = z.infer<typeof result>;

const resultInRun = result.extend({
  changelist,
  package: z.string().nullable(),
  environment: z.record(z.string(), z.string()),
});
export type ResultInRun = z.infer<typeof resultInRun>;

export const runResults = z.object({ id, outcome: listOf(outcome).optional(), ...pageInput });
export type RunResults = z.infer<typeof runResults>;
export const resultPage = pageOf(result);

export const resultList = z.object({
  test: text(200),
  case: text(1000).optional(),
  axis: axisName,
  ...range,
  outcome: listOf(outcome).optional(),
  environment: environmentFilter.optional(),
  ...pageInput,
});
export type ResultList = z.infer<typeof resultList>;
export const resultInRunPage = pageOf(resultInRun);
export type ResultInRunPage = z.infer<typeof resultInRunPage>;

export const summaryList = z.object({
  test: text(200),
  axis: axisName,
  from: range.from,
  to: range.to,
  environment: environmentFilter.optional(),
  package: z.string().max(300).optional(),
  ...pageInput,
});
export type SummaryList = z.infer<typeof summaryList>;
const summaryItem = z.object({
  changelist,
  runs: z.number().int(),
  labErrors: z.number().int().meta({ description: "Runs that say nothing of the product" }),
  counts,
});
export type SummaryItem = z.infer<typeof summaryItem>;
export const summaryPage = pageOf(summaryItem);

/** What a push says of its run. Results are checked one by one: good ones are stored, bad ones reported. */
export const pushHead = z.object({
  test: nameOf(200),
  changelist: runChangelist,
  committedAt: moment.optional().meta({
    description: "The commit's time, which numbers a label that is new on an axis whose labels go by time",
  }),
  axis,
  package: nameOf(300).optional(),
  environment: environment.default({}),
  externalId: text(300).optional().meta({
    description: "The source's name of the run; the hash of the content unless told",
  }),
  mode: z.enum(["replace", "merge", "append", "reject"]).default("replace").meta({
    description:
      "What a repeat does: replace the results; merge, as a piece of the run (wants an externalId); append an attempt (wants an Idempotency-Key); or be rejected",
  }),
  startedAt: moment.optional(),
  finishedAt: moment.optional(),
  url: runUrl.optional(),
});
export type PushHead = z.infer<typeof pushHead>;
export const pushInput = pushHead.extend({
  results: z.array(z.unknown()).max(1_000_000).meta({
    description: "Each { case, outcome, word?, durationMs?, message? }",
  }),
});
export const pushAnswer = z.object({
  runId: id,
  accepted: z.number().int().meta({ description: "Results stored, without those that are missing" }),
  counts: counts.meta({ description: "The accepted by outcome" }),
  missing: z.number().int().meta({
    description: "Cases that the source planned and has no result of; stored as not_run, outside of counts",
  }),
  samples: z.number().int().meta({ description: "Measured values stored" }),
  rejectedCount: z.number().int(),
  rejected: z.array(z.object({ file: z.string().optional(), place: z.string(), reason: z.string() })).meta({
    description: "The first 1000; place is a line, a path or a name in the file",
  }),
  notes: z.array(z.object({ file: z.string().optional(), place: z.string(), text: z.string() })).meta({
    description:
      "What else the source said: an interrupted file, errors of the harness, files passed over; the first 100",
  }),
});
export type PushAnswer = z.infer<typeof pushAnswer>;
