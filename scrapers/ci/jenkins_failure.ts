import { z } from "zod";
import type { ResultRecord } from "../../schemas/record.ts";
import { checkResponse, findJson } from "../http/json_answers.ts";
import { compileResult, isCompileStep } from "./compile_step.ts";
import type { ScrapeContext } from "../core/context.ts";
import type { FetchInit } from "../http/bounded_fetch.ts";
import { readLines } from "../../formats/lines.ts";

const stages = z.object({
  stages: z.array(z.object({
    name: z.string().nullish(),
    status: z.string().nullish(),
    durationMillis: z.number().nullish(),
    error: z.object({ message: z.string().nullish() }).nullish(),
  })).max(10_000).nullish(),
});
/** Largest log in bytes. A step's failure is reported at its end. */
const MAX_LOG = 64 << 20;
const FAILED_STEP = /^Build step '([^']{1,200})' marked build as failure$/;
/** Steps after the build: they fail when there is nothing to publish. */
const PUBLISHER = /^(?:Publish|Record|Archive|Report)/;

/** A failed build of a job. */
export interface FailedBuild {
  url: string;
  context: ScrapeContext;
  init: FetchInit;
}

/**
 * The compile failure of a build without results: the first failed stage of a pipeline if it compiles (`wfapi/describe` of the
 * plugin Pipeline: Stage View), or the failed build step that the job's log reports. Empty for neither: the agent, the checkout
 * or the harness may be at fault.
 */
export async function readCompileFailure(build: FailedBuild): Promise<ResultRecord[]> {
  const { url, context, init } = build;
  const found = await findJson(context, `${url}/wfapi/describe`, stages, init);
  const all = found?.value.stages ?? [];
  if (all.length === 0) return await readBuildStep(build);
  const failed = all.find(({ status }) => status === "FAILED");
  const message = failed?.error?.message;
  // Any other error than a script's is Jenkins's own, such as a lost agent.
  const isScriptFailure = !message || /exit code/i.test(message);
  if (!failed?.name || !isCompileStep(failed.name) || !isScriptFailure) return [];
  const durationMs = failed.durationMillis ?? undefined;
  return [
    compileResult(failed.name, {
      message: message ?? "",
      ...(durationMs === undefined ? {} : { durationMs }),
    }),
  ];
}

/** The failed build step of a job without stages, as Jenkins's core logs it. */
async function readBuildStep({ url, context, init }: FailedBuild): Promise<ResultRecord[]> {
  const response = await context.fetch(`${url}/consoleText`, {
    ...init,
    maxBytes: MAX_LOG,
    signal: context.signal,
  });
  if ([401, 403, 404, 410].includes(response.status)) {
    await response.body?.cancel();
    return [];
  }
  await checkResponse(response, url);
  try {
    for await (const lines of readLines(response.body!)) {
      for (const { text } of lines) {
        const name = FAILED_STEP.exec(text)?.[1];
        if (name !== undefined) return PUBLISHER.test(name) ? [] : [compileResult(name, { message: text })];
      }
    }
  } catch (error) {
    context.signal.throwIfAborted();
    context.log("a build's log cannot be read", { url, reason: String(error) });
  }
  return [];
}
