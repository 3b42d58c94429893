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

/** An argument of vrlsubmit: must not look like an option or contain terminal control characters. */
function argument(max: number) {
  return z.string().min(1).max(max)
    .regex(/^[^\p{Cc}]*$/u, "must not contain control characters")
    .refine((value) => !value.startsWith("-"), "must not begin with `-`");
}

/** Maximum number of jobs per request. */
export const MAX_BATCH = 200;

export const jobInput = z.object({
  test: argument(200).meta({
    description: "Name of the test; its submit defaults apply to omitted fields",
  }),
  labTest: argument(200).optional().meta({ description: "Name of the test in the lab, if it differs" }),
  package: argument(300).optional(),
  changelist: changelistInput.optional(),
  changelists: z.array(changelistInput).min(1).max(MAX_BATCH).optional().meta({
    description: "Instead of changelist: one job per changelist; if any is invalid, no job is created",
  }),
  packageUrl: argument(2000).optional().meta({
    description: "Instead of package and changelist; must be under a drop root",
  }),
  os: argument(100).optional(),
  machine: argument(100).optional().meta({ description: "Takes precedence over `pool`" }),
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
      "Why the job waits, failed or was lost, with the lab's message if there is one; only for signed-in users",
  }),
  needsPerson: z.boolean().meta({
    description: "Whether the state is unknown and the job needs a manual cancel or retry",
  }),
  nextAttemptAt: nullableTime.meta({
    description: "Time of the next attempt, for a queued job that waits for the lab",
  }),
  attempt: z.number().int(),
  serials: z.array(z.number().int()),
  runs: z.array(z.number().int()).meta({ description: "Ids of the runs scraped for the job" }),
  requestedBy: z.string(),
  createdAt: time,
  updatedAt: time,
  retryOf: id.nullable(),
});
export type Job = z.infer<typeof job>;

export const jobDetail = job.extend({
  stdout: z.string().nullable().meta({ description: "Only for signed-in users" }),
  stderr: z.string().nullable().meta({ description: "Only for signed-in users" }),
  events: z.array(
    z.object({
      at: time,
      state: jobState,
      cause: z.string().nullable().meta({ description: "Only for signed-in users" }),
    }),
  ),
  warnings: z.array(z.string()).meta({
    description: "Why the hub will not read the job's results from the lab",
  }),
});
export type JobDetail = z.infer<typeof jobDetail>;

/** Response to a request with `changelists`. */
export const jobBatch = z.object({
  jobs: z.array(job).meta({ description: "In the order of the request's changelists" }),
  warnings: z.array(z.string()).meta({ description: "Warnings that apply to every job" }),
});
export type JobBatch = z.infer<typeof jobBatch>;

export const jobList = z.object({
  test: z.string().max(200).optional(),
  state: jobState.optional(),
  package: z.string().max(300).optional(),
  changelist: changelistInput.optional(),
  open: flag.optional().meta({ description: "true: only unfinished jobs; false: only finished jobs" }),
  ...pageInput,
});
export type JobList = z.infer<typeof jobList>;
export const jobPage = pageOf(job);

export const queuedTask = z.object({
  id: z.string(),
  name: z.string(),
  state: z.string(),
  key: z.string().nullable(),
  data: z.unknown().meta({ description: "Only for signed-in users" }),
  createdAt: time,
  startAfter: time,
  startedAt: nullableTime,
  finishedAt: nullableTime,
  error: z.string().nullable().meta({ description: "Only for signed-in users" }),
});
