import { z } from "zod";
import type { Pattern } from "../../patterns.ts";
import type { ResultRecord } from "../../schemas/record.ts";
import type { Outcome } from "../../schemas/outcome.ts";
import { findJson, getJson } from "../http/json_answers.ts";
import { MAX_RESULTS } from "../../formats/artifact.ts";
import type { ScrapeContext } from "../core/context.ts";
import type { FetchInit } from "../http/bounded_fetch.ts";
import { sampleOf } from "../../formats/sample.ts";
import { caseName, excerpt } from "../../formats/text.ts";
import { compileResult, isCompileStep } from "./compile_step.ts";
import { addResults, findResults, type FoundResults, noResults } from "./result_files.ts";

/** The build whose results to read. */
export interface BuildPlace {
  /** Address of the API. */
  root: string;
  build: number;
  context: ScrapeContext;
  init: FetchInit;
}

const stepPage = z.object({
  steps: z.array(z.object({
    stepid: z.number().int(),
    name: z.string(),
    results: z.number().int().nullish(),
    started_at: z.number().nullish(),
    complete_at: z.number().nullish(),
    state_string: z.string().nullish(),
    hidden: z.boolean().nullish(),
  })),
});
const logPage = z.object({ logs: z.array(z.object({ logid: z.number().int(), name: z.string() })) });
const setPage = z.object({
  test_result_sets: z.array(z.object({
    test_result_setid: z.number().int(),
    category: z.string(),
    value_unit: z.string(),
    complete: z.boolean(),
  })),
});
const resultPage = z.object({
  test_results: z.array(z.object({
    test_name: z.string().nullish(),
    test_code_path: z.string().nullish(),
    line: z.number().int().nullish(),
    value: z.string(),
  })).max(100_000),
});
type TestResult = z.infer<typeof resultPage>["test_results"][number];
type ResultSet = z.infer<typeof setPage>["test_result_sets"][number];

/** Result codes of steps (developer manual, "Build Result Codes"). */
const CODES: Record<number, [Outcome, string?]> = {
  0: ["passed"],
  1: ["passed", "warnings"],
  2: ["failed"],
  3: ["skipped"],
  4: ["error", "exception"],
  5: ["not_run", "retry"],
  6: ["not_run", "cancelled"],
};
const PAGE = 1000;

async function readStepList({ root, build, context, init }: BuildPlace) {
  const { value: { steps } } = await getJson(context, `${root}/builds/${build}/steps`, stepPage, init);
  return steps;
}

/** Each step as a case. */
export async function readSteps(place: BuildPlace): Promise<ResultRecord[]> {
  return (await readStepList(place)).filter((step) => !step.hidden).map((step) => {
    const [outcome, word] = CODES[step.results ?? -1] ?? ["not_run"];
    const ms = ((step.complete_at ?? NaN) - (step.started_at ?? NaN)) * 1000;
    const message = outcome === "passed" ? undefined : excerpt(step.state_string ?? "");
    return {
      case: caseName(step.name),
      outcome,
      ...(word === undefined ? {} : { word }),
      ...(ms >= 0 ? { durationMs: ms } : {}),
      ...(message === undefined ? {} : { message }),
    };
  });
}

/** The first failed step if it is a compile step. Code 4 (exception) is Buildbot's own failure, not the step's. */
export async function readCompileFailure(place: BuildPlace): Promise<ResultRecord[]> {
  const { root, build, context, init } = place;
  const found = await findJson(context, `${root}/builds/${build}/steps`, stepPage, init);
  const failed = found?.value.steps.find((step) => step.results === 2 || step.results === 4);
  if (failed === undefined || failed.results !== 2 || !isCompileStep(failed.name)) return [];
  const durationMs = ((failed.complete_at ?? NaN) - (failed.started_at ?? NaN)) * 1000;
  return [compileResult(failed.name, { message: failed.state_string ?? "", durationMs })];
}

/** The results in logs whose `step/log` name matches the pattern. */
export async function readLogs(place: BuildPlace, wanted: Pattern): Promise<FoundResults> {
  const { root, context, init, build } = place;
  const found = noResults();
  for (const { stepid, name: step } of await readStepList(place)) {
    const { value: { logs } } = await getJson(context, `${root}/steps/${stepid}/logs`, logPage, init);
    for (const { logid, name } of logs) {
      if (!wanted.test(`${step}/${name}`)) continue;
      const file = { ...init, name, place: `build ${build} ${step}/${name}` };
      addResults(found, await findResults(context, `${root}/logs/${logid}/raw`, file));
    }
  }
  return found;
}

/**
 * The results in test result sets: `pass_fail` (values 1 and 0), `pass_only`, `fail_only` and `code_issue` become outcomes;
 * any other category becomes samples, in the set's unit, of the case with the same name.
 */
export async function readSets({ root, build, context, init }: BuildPlace): Promise<ResultRecord[]> {
  const url = `${root}/builds/${build}/test_result_sets`;
  // Older versions of Buildbot have no test result sets.
  const sets = (await findJson(context, url, setPage, init))?.value.test_result_sets ?? [];
  const results: ResultRecord[] = [];
  const byCase = new Map<string, ResultRecord>();
  const isVerdict = ({ category }: ResultSet) =>
    ["pass_fail", "pass_only", "fail_only", "code_issue"].includes(category);
  for (const set of [...sets.filter(isVerdict), ...sets.filter((set) => !isVerdict(set))]) {
    const place = `build ${build} test result set ${set.test_result_setid}`;
    if (!set.complete) {
      context.ignore("is a test result set that was never completed", place);
      continue;
    }
    for await (const one of resultsOf(set)) {
      const name = nameOf(one);
      if (isVerdict(set)) {
        const record = verdictOf(name, set, one);
        if (record === undefined) context.ignore("is a test result that is neither 0 nor 1", place);
        else {
          results.push(record);
          if (!byCase.has(name)) byCase.set(name, record);
        }
        continue;
      }
      const value = Number(one.value);
      const samples = sampleOf(set.category, Number.isNaN(value) ? one.value : value, set.value_unit);
      let record = byCase.get(name);
      if (record === undefined) {
        record = { case: name, outcome: "passed" };
        byCase.set(name, record);
        results.push(record);
      }
      record.samples = [...record.samples ?? [], ...samples].slice(0, 1000);
    }
  }
  return results;

  async function* resultsOf({ test_result_setid: id }: ResultSet): AsyncGenerator<TestResult> {
    for (let offset = 0; offset <= MAX_RESULTS; offset += PAGE) {
      const query = `order=test_resultid&limit=${PAGE}&offset=${offset}`;
      const { value: { test_results: page } } = await getJson(
        context,
        `${root}/test_result_sets/${id}/results?${query}`,
        resultPage,
        init,
      );
      yield* page;
      if (page.length < PAGE) return;
    }
  }
}

function nameOf({ test_name, test_code_path, line }: TestResult): string {
  const path = [test_code_path, line].filter((part) => part !== null && part !== undefined).join(":");
  return caseName(test_name || path);
}

function verdictOf(name: string, { category, value_unit }: ResultSet, { value }: TestResult) {
  const record = (outcome: Outcome): ResultRecord => {
    const message = value_unit === "message" ? excerpt(value) : undefined;
    return { case: name, outcome, ...(message === undefined ? {} : { message }) };
  };
  if (category === "pass_only") return record("passed");
  if (category !== "pass_fail") return record("failed");
  if (/^(?:1|true)$/i.test(value)) return record("passed");
  return /^(?:0|false)$/i.test(value) ? record("failed") : undefined;
}
