import { z } from "zod";
import { compilePattern } from "../../patterns.ts";
import type { ResultRecord, RunChangelist, RunRecord } from "../../schemas/record.ts";
import type { Outcome } from "../../schemas/outcome.ts";
import { CiScraper } from "./ci_scraper.ts";
import type { BuildSource, BuildWindow, CiBuild } from "./build_source.ts";
import { changelistOf, ciSettings, makeRun, pattern, serverUrl, timeWindow } from "./ci.ts";
import { findJson, getJson } from "../http/json_answers.ts";
import type { ScrapeContext } from "../core/context.ts";
import type { FetchInit } from "../http/bounded_fetch.ts";
import { readCompileFailure } from "./jenkins_failure.ts";
import { addResults, findResults, type FoundResults, noResults } from "./result_files.ts";
import { foreignName, foreignNumber, foreignText } from "../core/foreign_values.ts";

const settings = z.strictObject({
  url: serverUrl.meta({ description: "The Jenkins server's address" }),
  job: z.string().min(1).max(500).regex(/^[^/]+(?:\/[^/]+)*$/, "must be a job, or folder/job").meta({
    description: "The job with its folders, such as nightly/compiler",
  }),
  changelist: z.string().regex(
    /^(?:revision|number|displayName|parameter:.{1,200})$/,
    "must be revision, number, displayName or parameter:NAME",
  ).default("revision").meta({
    description:
      "Where to find a build's changelist: `revision` (the commit it built), `number` (the build's number), `displayName` (the first number in it) or `parameter:NAME`",
  }),
  results: z.enum(["testReport", "artifacts"]).default("testReport").meta({
    description: "Jenkins's own test report, or the archived result files",
  }),
  artifacts: pattern.default(".").meta({ description: "Regular expression over paths of artifacts" }),
  ...ciSettings,
});
type Settings = z.infer<typeof settings>;

const action = z.looseObject({
  parameters: z.array(z.looseObject({ name: z.string().nullish(), value: z.unknown().optional() }).nullable())
    .nullish(),
  lastBuiltRevision: z.looseObject({ SHA1: z.string().nullish() }).nullish(),
}).nullable();
const buildPage = z.object({
  allBuilds: z.array(z.object({
    number: z.number().int().positive(),
    url: z.string().nullish(),
    timestamp: z.number(),
    duration: z.number().nullish(),
    building: z.boolean().default(false),
    result: z.string().nullish(),
    displayName: z.string().nullish(),
    builtOn: z.string().nullish(),
    actions: z.array(action).nullish(),
    artifacts: z.array(z.object({ relativePath: z.string() })).nullish(),
  })).max(1000),
});
type JenkinsBuild = z.infer<typeof buildPage>["allBuilds"][number];

const suites = z.array(z.object({
  cases: z.array(z.object({
    className: z.string().nullish(),
    name: z.string().nullish(),
    status: z.string(),
    duration: z.number().nullish(),
    errorDetails: z.string().nullish(),
    errorStackTrace: z.string().nullish(),
    skippedMessage: z.string().nullish(),
  })).nullish(),
})).nullish();
/** The report of a job, or of the modules and configurations of a multi-part job. */
const report = z.object({
  suites,
  childReports: z.array(z.object({ result: z.object({ suites }).nullish() })).nullish(),
});

/** hudson.tasks.junit.CaseResult.Status */
const OUTCOMES: Record<string, Outcome> = {
  PASSED: "passed",
  FIXED: "passed",
  FAILED: "failed",
  REGRESSION: "failed",
  SKIPPED: "skipped",
};
const PAGE = 100;
const MAX_PAGES = 500;
const CASES = "suites[cases[className,name,status,duration,errorDetails,errorStackTrace,skippedMessage]]";

interface Listed extends CiBuild {
  build: JenkinsBuild;
}

/** Reads the builds of a Jenkins job through its JSON API (`/api/json` with `tree`; the JUnit plugin's `testReport`). */
export class JenkinsScraper extends CiScraper<typeof settings> {
  readonly tag = "jenkins";
  readonly summary = "Test reports or artifacts of a Jenkins job's builds";
  readonly settings = settings;

  protected addressOf(settings: Settings): string {
    return jobUrl(settings);
  }

  protected windowOf(settings: Settings, context: ScrapeContext): BuildWindow {
    return timeWindow(settings, context);
  }

  protected buildsOf(settings: Settings, context: ScrapeContext): JobBuilds {
    return new JobBuilds(settings, context);
  }
}

function jobUrl({ url, job }: Settings): string {
  return `${url}${job.split("/").map((part) => `/job/${encodeURIComponent(part)}`).join("")}`;
}

class JobBuilds implements BuildSource<Listed> {
  readonly #init: FetchInit;

  constructor(readonly settings: Settings, readonly context: ScrapeContext) {
    const { secret } = settings;
    this.#init = secret === undefined ? {} : { secret: { name: secret, as: "basic" } };
  }

  /** Newest first. A build that starts during the listing shifts the others by one. */
  async *list(from: number): AsyncGenerator<Listed[]> {
    const files = this.settings.results === "artifacts" ? ",artifacts[relativePath]" : "";
    const fields = "number,url,timestamp,duration,building,result,displayName,builtOn" +
      `,actions[parameters[name,value],lastBuiltRevision[SHA1]]${files}`;
    for (let page = 0; page < MAX_PAGES; page++) {
      const tree = `allBuilds[${fields}]{${page * PAGE},${(page + 1) * PAGE}}`;
      const { value: { allBuilds } } = await getJson(
        this.context,
        `${jobUrl(this.settings)}/api/json?${new URLSearchParams({ tree })}`,
        buildPage,
        this.#init,
      );
      yield allBuilds.map((build) => ({
        id: String(build.number),
        version: `${build.result} ${build.duration}`,
        at: build.timestamp,
        isOver: !build.building && !!build.result,
        build,
      }));
      const oldest = allBuilds.at(-1)?.timestamp;
      if (oldest === undefined || oldest < from || allBuilds.length < PAGE) return;
    }
  }

  async read({ build }: Listed): Promise<RunRecord | string> {
    const { number, timestamp, duration, result } = build;
    const changelist = this.#changelist(build);
    if (changelist === undefined) return `has no changelist in its ${this.settings.changelist}`;
    const found = this.settings.results === "artifacts"
      ? await this.#artifacts(build)
      : { ...noResults(), results: await this.#report(number) };
    if (found.results.length === 0 && found.missing > 0) return "has results that no longer exist";
    const isEmpty = found.results.length === 0 && found.fault === undefined;
    if (isEmpty && result !== "FAILURE") return `has no test results, and the build's result is ${result}`;
    const place = { url: `${jobUrl(this.settings)}/${number}`, context: this.context, init: this.#init };
    const results = isEmpty ? await readCompileFailure(place) : found.results;
    return makeRun(this.settings, {
      externalId: String(number),
      changelist,
      startedAt: timeOf(timestamp),
      finishedAt: duration ? timeOf(timestamp + duration) : undefined,
      url: `${jobUrl(this.settings)}/${number}/`,
      environment: { machine: build.builtOn },
      results,
      fault: results.length === 0 ? found.fault ?? "the build failed and produced no results" : undefined,
    });
  }

  #changelist({ number, displayName, actions }: JenkinsBuild): RunChangelist | undefined {
    const [from, parameter] = this.settings.changelist.split(/:(.*)/);
    if (from === "number") return changelistOf(number);
    if (from === "displayName") return changelistOf(/\d+/.exec(displayName ?? "")?.[0]);
    for (const one of actions ?? []) {
      const text = from === "revision"
        ? one?.lastBuiltRevision?.SHA1
        : one?.parameters?.find((each) => each?.name === parameter)?.value;
      if (text !== undefined && text !== null && text !== "") return changelistOf(text);
    }
    return undefined;
  }

  async #report(number: number): Promise<ResultRecord[]> {
    const query = new URLSearchParams({ tree: `${CASES},childReports[result[${CASES}]]` });
    const url = `${jobUrl(this.settings)}/${number}/testReport/api/json?${query}`;
    const found = await findJson(this.context, url, report, this.#init);
    const all = [found?.value, ...found?.value.childReports?.map((child) => child.result) ?? []];
    return all.flatMap((one) => one?.suites ?? []).flatMap((suite) => suite.cases?.map(toResult) ?? []);
  }

  async #artifacts({ number, artifacts }: JenkinsBuild): Promise<FoundResults> {
    const wanted = compilePattern(this.settings.artifacts);
    const all = noResults();
    for (const { relativePath: path } of artifacts ?? []) {
      if (!wanted.test(path)) continue;
      const url = `${jobUrl(this.settings)}/${number}/artifact/${
        path.split("/").map(encodeURIComponent).join("/")
      }`;
      const place = `build ${number} ${path}`;
      addResults(all, await findResults(this.context, url, { ...this.#init, name: path, place }));
    }
    return all;
  }
}

type Case = NonNullable<NonNullable<z.infer<typeof suites>>[number]["cases"]>[number];

function toResult(one: Case): ResultRecord {
  const { className, name, status, duration, errorDetails, errorStackTrace, skippedMessage } = one;
  const message = foreignText([errorDetails, errorStackTrace, skippedMessage].filter(Boolean).join("\n"));
  const durationMs = foreignNumber(duration, 1000);
  return {
    case: foreignName([className, name].filter(Boolean).join(".")) || "(no name)",
    outcome: OUTCOMES[status] ?? "unresolved",
    ...(OUTCOMES[status] === undefined ? { word: status || "(none)" } : {}),
    ...(durationMs === undefined ? {} : { durationMs }),
    ...(message === "" ? {} : { message }),
  };
}

function timeOf(ms: number): string | undefined {
  return ms >= 0 && ms < 253_402_300_800_000 ? new Date(ms).toISOString() : undefined;
}
