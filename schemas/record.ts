import { z } from "zod";
import { axis, changelist, nameOf, text, time } from "./common.ts";
import { outcome } from "./outcome.ts";

/** The environment of a run: five known keys and any others; values are text. Equal environments share a row. */
export const environment = z.record(nameOf(64), nameOf(256)).refine(
  (value) => Object.keys(value).length <= 32,
  "has more than 32 keys",
);

/** Maximum length of a result's message or log excerpt, in characters; formats truncate to it. */
export const MAX_EXCERPT = 4000;
export const MAX_CASE = 1000;

/** Results of one case in one run, or values of one of its metrics: a Postgres `smallint` numbers them. */
export const MAX_ORDINAL = 32_767;

/** Maximum number of samples per result. */
export const MAX_SAMPLES = 1000;
export const MAX_SAMPLE_TEXT = 300;
export const metricName = nameOf(200);

/** A measured value: a number, or a text such as a binary's hash. */
export const sample = z.object({
  metric: metricName,
  value: z.union([z.number(), text(MAX_SAMPLE_TEXT)]),
  unit: nameOf(32).optional(),
});
export type Sample = z.infer<typeof sample>;

/** The result of one case, as formats and scrapers yield it and `POST /api/results` accepts it. */
export const resultRecord = z.object({
  case: text(MAX_CASE).regex(/\S/, "must not be blank"),
  outcome,
  /** The source's word for the outcome, if it differs from `outcome`. */
  word: text(64).optional(),
  durationMs: z.number().min(0).max(1e12).optional(),
  message: text(MAX_EXCERPT).or(z.literal("")).optional(),
  samples: z.array(sample).max(MAX_SAMPLES).optional(),
});
export type ResultRecord = z.infer<typeof resultRecord>;

/** A run's changelist from its source: a number, or `label:<commit>`, which gets its number when the run is stored. */
export const runChangelist = z.union([
  z.string().regex(/^label:[^\s\p{Cc}]{1,200}$/u, { abort: true }),
  changelist,
], "must be a positive integer, or label: followed by a full commit hash").meta({
  description: "Changelist: a positive integer, or `label:` followed by a full commit hash",
});
export type RunChangelist = z.infer<typeof runChangelist>;

/** The web page links to this URL, so `javascript:` URLs must be rejected. */
export const runUrl = text(2000).regex(
  /^(?:https?|file):\/\/[^\s\p{Cc}]+$/iu,
  "must be an http, https or file URL",
);

export const RUN_STATES = ["running", "done", "lab_error"] as const;

/** One execution of a test. A repeat with the same `source`, `externalId` and `attempt` is the same run. */
export const runHead = z.object({
  externalId: text(300),
  attempt: z.number().int().min(1).max(10_000).default(1),
  axis,
  changelist: runChangelist,
  /** Time of the commit, for a `label:` changelist. */
  committedAt: time.optional(),
  package: text(300).optional(),
  environment: environment.default({}),
  status: z.enum(RUN_STATES).default("done"),
  startedAt: time.optional(),
  finishedAt: time.optional(),
  url: runUrl.optional(),
  /** The lab's serial, which links the run to its job. */
  serial: z.number().int().min(1).max(Number.MAX_SAFE_INTEGER).optional(),
  /** For a `lab_error`: why the run has no results. */
  reason: z.string().max(MAX_EXCERPT).optional(),
});

export type RunHead = z.infer<typeof runHead>;

/** A run with its results, as scrapers yield it. */
export interface RunRecord extends RunHead {
  results: ResultRecord[];
}

/** A run whose changelist is a number. */
export type Placed<R extends { changelist: RunChangelist; committedAt?: string | undefined }> =
  & Omit<R, "changelist" | "committedAt">
  & { changelist: number };
