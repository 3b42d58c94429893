import { z } from "zod";
import { changelist, changelistInput, flag, id, nullableTime, pageInput, pageOf, time } from "./common.ts";

export const JOB_STATES = [
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
export const jobState = z.enum(JOB_STATES);
export type JobState = z.infer<typeof jobState>;

/** What becomes an argument of vrlsubmit: neither an option nor anything a terminal would act on. */
function argument(max: number) {
  return z.string().min(1).max(max)
    .regex(/^[^\p{Cc}]*$/u, "must not hold control characters")
    .refine((value) => !value.startsWith("-"), "must not begin with `-`");
}

export const jobInput = z.object({
  test: argument(200).meta({
    description: "Name of the test; its submit defaults fill what is left out here",
  }),
  labTest: argument(200).optional().meta({ description: "Name of the test in the lab, where it is another" }),
  package: argument(300).optional(),
  changelist: changelistInput.optional(),
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

export const job = z.object({
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
});
export type JobDetail = z.infer<typeof jobDetail>;

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
