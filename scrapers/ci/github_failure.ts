import { z } from "zod";
import type { ResultRecord } from "../../schemas/record.ts";
import { findJson } from "../http/json_answers.ts";
import { compileResult, isCompileStep } from "./compile_step.ts";
import type { ScrapeContext } from "../core/context.ts";
import type { FetchInit } from "../http/bounded_fetch.ts";

const jobPage = z.object({
  jobs: z.array(z.object({
    name: z.string(),
    conclusion: z.string().nullish(),
    steps: z.array(z.object({ name: z.string(), conclusion: z.string().nullish() })).nullish(),
  })),
});

/** A repository's API address, and how to send requests to it. */
export interface Repository {
  root: string;
  context: ScrapeContext;
  init: FetchInit;
}

/** The jobs of a workflow run whose first failed step is a compile step, each as a failed case. */
export async function readCompileFailure(
  { root, context, init }: Repository,
  run: { id: number; run_attempt: number },
): Promise<ResultRecord[]> {
  const url = `${root}/actions/runs/${run.id}/attempts/${run.run_attempt}/jobs?per_page=100`;
  const found = await findJson(context, url, jobPage, init);
  return (found?.value.jobs ?? []).flatMap((job) => {
    const failed = job.steps?.find((step) => step.conclusion === "failure");
    if (job.conclusion !== "failure" || failed === undefined) return [];
    if (!isCompileStep(failed.name, job.name)) return [];
    return [compileResult(job.name, { message: `The step ${failed.name} failed.` })];
  });
}
