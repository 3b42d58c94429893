import { z } from "zod";
import { axis, changelist, id, listOf, moment, nameOf, pageInput, pageOf, text } from "./common.ts";
import { counts, outcome } from "./outcome.ts";
import { environment, runChangelist, runUrl } from "./record.ts";
import { axisName, environmentFilter, range } from "./run.ts";

const result = z.object({
  runId: id,
  case: z.string(),
  ordinal: z.number().int().meta({ description: "From 1: n for the nth result of the case in the run" }),
  outcome,
  word: z.string().nullable().meta({ description: "The source's word for the outcome, if it differs" }),
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
  labErrors: z.number().int().meta({
    description: "Number of runs that failed in the lab, not because of the product",
  }),
  counts,
});
export type SummaryItem = z.infer<typeof summaryItem>;
export const summaryPage = pageOf(summaryItem);

/** The run fields of a push. Results are checked one by one: valid ones are stored, invalid ones reported. */
export const pushHead = z.object({
  test: nameOf(200),
  changelist: runChangelist,
  committedAt: moment.optional().meta({
    description: "Time of the commit; numbers a new label on an axis with `time` labels",
  }),
  axis,
  package: nameOf(300).optional(),
  environment: environment.default({}),
  externalId: text(300).optional().meta({
    description: "The source's id of the run (default: a hash of the content)",
  }),
  mode: z.enum(["replace", "merge", "append", "reject"]).default("replace").meta({
    description:
      "Effect of a repeated push. `replace`: replaces the results; `merge`: adds a part of the run (requires externalId); `append`: adds an attempt (requires an Idempotency-Key); `reject`: fails",
  }),
  startedAt: moment.optional(),
  finishedAt: moment.optional(),
  url: runUrl.optional(),
});
export type PushHead = z.infer<typeof pushHead>;
export const pushInput = pushHead.extend({
  results: z.array(z.unknown()).max(1_000_000).meta({
    description: "Each `{ case, outcome, word?, durationMs?, message?, samples? }`",
  }),
});
export const pushAnswer = z.object({
  runId: id,
  accepted: z.number().int().meta({ description: "Number of results stored, excluding missing ones" }),
  counts: counts.meta({ description: "Accepted results by outcome" }),
  missing: z.number().int().meta({
    description: "Number of planned cases without a result; stored as not_run, not in counts",
  }),
  samples: z.number().int().meta({ description: "Number of measured values stored" }),
  rejectedCount: z.number().int(),
  rejected: z.array(z.object({ file: z.string().optional(), place: z.string(), reason: z.string() })).meta({
    description: "The first 1000; `place` is a line, path or name in the file",
  }),
  notes: z.array(z.object({ file: z.string().optional(), place: z.string(), text: z.string() })).meta({
    description:
      "Other reports from the source: an interrupted file, harness errors, skipped files; the first 100",
  }),
});
export type PushAnswer = z.infer<typeof pushAnswer>;
