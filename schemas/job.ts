import { z } from "zod";
import { changelist, changelistInput, flag, id, nullableTime, pageInput, pageOf, time } from "./common.ts";

const JOB_STATES = [
  "queued",
  "submitting",
  "submitted",
  "running",
  "done",
  "failed",
  "cancelled",
  "lost",
  "unknown",
] as const;
const jobState = z.enum(JOB_STATES);
export type JobState = z.infer<typeof jobState>;

/** What becomes an argument of vrlsubmit: neither an option nor anything a terminal would act on. */
function argument(max: number) {
  return z.string().min(1).max(max)
    .regex(/^[^\p{Cc}]*$/u, "must not hold control characters")
    .refine((value) => !value.startsWith("-"), "must not begin with `-`");
}

/** Most jobs that one request makes. */
export const MAX_BATCH = 200;

export const jobInput = z.object({
  test: argument(200).meta({
    description: "Name of the test; its submit defaults fill what is left out here",
  }),
  labTest: argument(200).optional().meta({ description: "Name of the test in the lab, where it is another" }),
  package: argument(300).optional(),
  changelist: changelistInput.optional(),
  changelists: z.array(changelistInput).min(1).max(MAX_BATCH).optional().meta({
    description: "Instead of changelist: a job at each, or none if one of them cannot be made",
  }),
  packageUrl: argument(2000).optional().meta({
    description: "Instead of package and changelist; must lie under a drop root",
  }),
  os: argument(100).optional(),
  machine: argument(100).optional().meta({ description: "Wins over a pool" }),
  pool: argument(100).optional(),
  note: argument(500).optional(),
  report: z.enum(["email", "none"]).default("none"),
});
export type JobInput = z.infer<typeof jobInput>;

const job = z.object({
  id,
  test: z.string(),
  labTest: z.string(),
  package: z.string().nullable(),
  changelist: changelist.nullable(),
  packageUrl: z.string(),
  os: z.string(),
  machine: z.string().nullable(),
  pool: z.string().nullable(),
  note: z.string(),
  report: z.enum(["email", "none"]),
  state: jobState,
  reason: z.string().nullable().meta({
    description:
      "Why it waits, failed or was lost, in the lab's own words where it gave any; for the signed-in",
  }),
  needsPerson: z.boolean().meta({
    description: "Unknown, and not submitted again by itself: cancel or retry it",
  }),
  nextAttemptAt: nullableTime.meta({ description: "When a queued job is due that waits for the lab" }),
  attempt: z.number().int(),
  serials: z.array(z.number().int()),
  runs: z.array(z.number().int()).meta({ description: "Ids of the runs scraped for it" }),
  requestedBy: z.string(),
  createdAt: time,
  updatedAt: time,
  retryOf: id.nullable(),
});
export type Job = z.infer<typeof job>;

export const jobDetail = job.extend({
  stdout: z.string().nullable().meta({ description: "For the signed-in" }),
  stderr: z.string().nullable().meta({ description: "For the signed-in" }),
  events: z.array(
    z.object({
      at: time,
      state: jobState,
      cause: z.string().nullable().meta({ description: "For the signed-in" }),
    }),
  ),
  warnings: z.array(z.string()).meta({
    description: "Why results that it leaves in the lab will not be read",
  }),
});
export type JobDetail = z.infer<typeof jobDetail>;

/** Answer to a request with `changelists`. */
export const jobBatch = z.object({
  jobs: z.array(job).meta({ description: "In the order of the request's changelists" }),
  warnings: z.array(z.string()).meta({ description: "What is true of each of them" }),
});
export type JobBatch = z.infer<typeof jobBatch>;

export const jobList = z.object({
  test: z.string().max(200).optional(),
  state: jobState.optional(),
  package: z.string().max(300).optional(),
  changelist: changelistInput.optional(),
  open: flag.optional().meta({ description: "Only jobs that are not over, or only those that are" }),
  ...pageInput,
});
export type JobList = z.infer<typeof jobList>;
export const jobPage = pageOf(job);

export const queuedTask = z.object({
  id: z.string(),
  name: z.string(),
  state: z.string(),
  key: z.string().nullable(),
  data: z.unknown().meta({ description: "For the signed-in" }),
  createdAt: time,
  startAfter: time,
  startedAt: nullableTime,
  finishedAt: nullableTime,
  error: z.string().nullable().meta({ description: "For the signed-in" }),
});
