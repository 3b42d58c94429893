import { z } from "zod";
import { axis, changelist, nameOf, text, time } from "./common.ts";
import { outcome } from "./outcome.ts";

/** What a run ran on. Free-form keys beside the five known ones; values are text. Equal ones are one row. */
export const environment = z.record(nameOf(64), nameOf(256)).refine(
  (value) => Object.keys(value).length <= 32,
  "has more than 32 keys",
);

/** Longest kept message or log excerpt of a result, in characters; formats cut to it. */
export const MAX_EXCERPT = 4000;
export const MAX_CASE = 1000;

/** Results of one case in one run, or values of one of its metrics: a Postgres `smallint` numbers them. */
export const MAX_ORDINAL = 32_767;

/** Samples of one result. */
export const MAX_SAMPLES = 1000;
export const MAX_SAMPLE_TEXT = 300;
export const metricName = nameOf(200);

/** A value that was measured: a number, or a text such as the hash of a binary. */
export const sample = z.object({
  metric: metricName,
  value: z.union([z.number(), text(MAX_SAMPLE_TEXT)]),
  unit: nameOf(32).optional(),
});
export type Sample = z.infer<typeof sample>;

/** The outcome of one case, as a format or a scraper yields it, and as `POST /api/results` takes it. */
export const resultRecord = z.object({
  case: text(MAX_CASE).regex(/\S/, "must not be blank"),
  outcome,
  /** The source's own word, where it is another than `outcome`. */
  word: text(64).optional(),
  durationMs: z.number().min(0).max(1e12).optional(),
  message: text(MAX_EXCERPT).or(z.literal("")).optional(),
  samples: z.array(sample).max(MAX_SAMPLES).optional(),
});
export type ResultRecord = z.infer<typeof resultRecord>;

/** A run's changelist as its source tells it: a number, or `label:<commit>`, which is given its number as it is stored. */
export const runChangelist = z.union([
  z.string().regex(/^label:[^\s\p{Cc}]{1,200}$/u, { abort: true }),
  changelist,
], "must be a positive integer, or label: and a commit's whole hash").meta({
  description: "Changelist: a positive integer, or `label:` and a commit's whole hash",
});
export type RunChangelist = z.infer<typeof runChangelist>;

/** Pages link to it: a `javascript:` must not get there. */
export const runUrl = text(2000).regex(
  /^(?:https?|file):\/\/[^\s\p{Cc}]+$/iu,
  "must be an http, https or file URL",
);

export const RUN_STATES = ["running", "done", "lab_error"] as const;

/** One execution of a test. `source` and `externalId` identify it; a repeat with the same ones is the same run. */
export const runHead = z.object({
  externalId: text(300),
  attempt: z.number().int().min(1).max(10_000).default(1),
  axis,
  changelist: runChangelist,
  /** The commit's time, for a label. */
  committedAt: time.optional(),
  package: text(300).optional(),
  environment: environment.default({}),
  status: z.enum(RUN_STATES).default("done"),
  startedAt: time.optional(),
  finishedAt: time.optional(),
  url: runUrl.optional(),
  /** The lab's serial, by which a run is tied to its job. */
  serial: z.number().int().min(1).max(Number.MAX_SAFE_INTEGER).optional(),
  /** Why the run has no results, for a lab_error. */
  reason: z.string().max(MAX_EXCERPT).optional(),
});

export type RunHead = z.infer<typeof runHead>;

/** A run with its results, as a scraper yields it. */
export interface RunRecord extends RunHead {
  results: ResultRecord[];
}

/** A run whose changelist is a number. */
export type Placed<R extends { changelist: RunChangelist; committedAt?: string | undefined }> =
  & Omit<R, "changelist" | "committedAt">
  & { changelist: number };
