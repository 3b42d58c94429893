import { z } from "zod";
import { HubError } from "../../errors.ts";
import type { ResultRecord, RunRecord } from "../../schemas/record.ts";
import type { Outcome } from "../../schemas/outcome.ts";
import { CiScraper } from "./ci_scraper.ts";
import type { BuildSource, BuildWindow, CiBuild } from "./build_source.ts";
import { changelistOf, ciSettings, makeRun, serverUrl, timeWindow } from "./ci.ts";
import { findJson, getJson } from "../http/json_answers.ts";
import type { ScrapeContext } from "../core/context.ts";
import type { FetchInit } from "../http/bounded_fetch.ts";
import { milliseconds } from "../../formats/text.ts";
import { compileResult, isCompileStep } from "./compile_step.ts";
import { nextLink } from "../http/next_link.ts";
import { foreignName, foreignNumber, foreignText } from "../core/foreign_values.ts";

const settings = z.strictObject({
  url: serverUrl.default("https://gitlab.com").meta({ description: "The GitLab server's address" }),
  project: z.string().regex(/^(?:\d+|[\w.-]+(?:\/[\w.-]+)+)$/, "must be a project's id or path").meta({
    description: "Project: its number, or group/name",
  }),
  ref: z.string().min(1).max(300).optional().meta({ description: "Only pipelines of this branch or tag" }),
  source: z.string().regex(/^\w+$/).optional().meta({
    description: "Only pipelines with this source, such as schedule",
  }),
  ...ciSettings,
});
type Settings = z.infer<typeof settings>;

const pipelines = z.array(z.object({
  id: z.number().int().positive(),
  sha: z.string().nullish(),
  ref: z.string().nullish(),
  status: z.string(),
  created_at: z.string().nullish(),
  updated_at: z.string(),
  web_url: z.string().nullish(),
})).max(1000);
type Pipeline = z.infer<typeof pipelines>[number];

const report = z.object({
  test_suites: z.array(z.object({
    suite_error: z.string().nullish(),
    name: z.string().nullish(),
    test_cases: z.array(z.object({
      status: z.string(),
      name: z.string().nullish(),
      classname: z.string().nullish(),
      execution_time: z.number().nullish(),
      system_output: z.unknown().optional(),
      stack_trace: z.unknown().optional(),
    })).nullish(),
  })),
});
const jobs = z.array(z.object({
  name: z.string(),
  stage: z.string().nullish(),
  failure_reason: z.string().nullish(),
  duration: z.number().nullish(),
  allow_failure: z.boolean().nullish(),
})).max(1000);
const commit = z.object({ committed_date: z.string() });

/** Final states of a pipeline (docs/api/pipelines.md). */
const OVER = new Set(["success", "failed", "canceled", "skipped", "manual"]);
const OUTCOMES: Record<string, Outcome> = {
  success: "passed",
  failed: "failed",
  error: "error",
  skipped: "skipped",
};
const PAGE = 100;
const MAX_PAGES = 1000;

interface GitLabBuild extends CiBuild {
  pipeline: Pipeline;
}

/** Reads the test reports of a GitLab project's pipelines (REST v4: pipelines, `test_report`, commits). */
export class GitLabScraper extends CiScraper<typeof settings> {
  readonly tag = "gitlab";
  readonly summary = "Test reports of a GitLab project's pipelines";
  readonly settings = settings;

  protected addressOf(settings: Settings): string {
    return rootOf(settings);
  }

  protected windowOf(settings: Settings, context: ScrapeContext): BuildWindow {
    return timeWindow(settings, context);
  }

  protected buildsOf(settings: Settings, context: ScrapeContext): Pipelines {
    return new Pipelines(settings, context);
  }
}

function rootOf({ url, project }: Settings): string {
  return `${url}/api/v4/projects/${encodeURIComponent(project)}`;
}

class Pipelines implements BuildSource<GitLabBuild> {
  readonly #init: FetchInit;
  readonly #commits = new Map<string, Promise<string | undefined>>();

  constructor(readonly settings: Settings, readonly context: ScrapeContext) {
    const { secret } = settings;
    this.#init = secret === undefined ? {} : { secret: { name: secret, as: { header: "PRIVATE-TOKEN" } } };
  }

  /** Ordered by `updated_at`, oldest first: a pipeline that changes while it is listed appears again at the end. */
  async *list(from: number): AsyncGenerator<GitLabBuild[]> {
    const { settings: { ref, source }, context } = this;
    const query = new URLSearchParams({
      updated_after: new Date(from).toISOString(),
      order_by: "updated_at",
      sort: "asc",
      per_page: String(PAGE),
      ...(ref === undefined ? {} : { ref }),
      ...(source === undefined ? {} : { source }),
    });
    for (let page = 1; page <= MAX_PAGES; page++) {
      query.set("page", String(page));
      const { value, headers } = await getJson(
        context,
        `${rootOf(this.settings)}/pipelines?${query}`,
        pipelines,
        this.#init,
      );
      yield value.map((pipeline) => ({
        id: String(pipeline.id),
        version: `${pipeline.status} ${pipeline.updated_at}`,
        at: Date.parse(pipeline.updated_at),
        isOver: OVER.has(pipeline.status),
        pipeline,
      }));
      const next = headers.get("x-next-page");
      const hasMore = nextLink(headers.get("link")) !== undefined;
      if (value.length === 0 || next === "" || next === null && value.length < PAGE && !hasMore) return;
    }
  }

  async read({ pipeline }: GitLabBuild): Promise<RunRecord | string> {
    const { id, sha, ref, status, created_at, updated_at, web_url } = pipeline;
    if (status === "canceled" || status === "skipped") return `was ${status}`;
    const changelist = changelistOf(sha);
    if (changelist === undefined || !sha) return "names no commit";
    const found = await findJson(
      this.context,
      `${rootOf(this.settings)}/pipelines/${id}/test_report`,
      report,
      this.#init,
    );
    const results = found?.value.test_suites.flatMap((suite) => suite.test_cases?.map(toResult) ?? []) ?? [];
    let fault: string | undefined;
    for (const { name, suite_error } of found?.value.test_suites ?? []) {
      if (suite_error) {
        fault ??= `GitLab could not read the report of ${name}: ${suite_error}`;
        this.context.ignore("is a test suite that GitLab could not read", `${id} ${name}: ${suite_error}`);
      }
    }
    if (results.length === 0 && fault === undefined) {
      if (status !== "failed") return "has no test report";
      results.push(...await this.#compileFailure(id));
    }
    return makeRun(this.settings, {
      externalId: String(id),
      changelist,
      committedAt: await this.#committedAt(sha),
      startedAt: created_at,
      finishedAt: updated_at,
      url: web_url ?? undefined,
      environment: { branch: ref },
      results,
      fault: results.length === 0 ? fault ?? "the pipeline failed and has no test report" : undefined,
    });
  }

  /** The failed jobs that compile (by their name or stage) and whose own script failed. */
  async #compileFailure(id: number): Promise<ResultRecord[]> {
    const url = `${rootOf(this.settings)}/pipelines/${id}/jobs?scope[]=failed&per_page=${PAGE}`;
    const found = await findJson(this.context, url, jobs, this.#init);
    return (found?.value ?? []).flatMap(
      ({ name, stage, failure_reason: reason, duration, allow_failure }) => {
        const isScriptFailure = !reason || reason === "script_failure";
        if (!isScriptFailure || allow_failure || !isCompileStep(name, stage)) return [];
        const durationMs = milliseconds(duration);
        const message = `The job ${name} of the stage ${stage} failed.`;
        return [compileResult(name, { message, ...(durationMs === undefined ? {} : { durationMs }) })];
      },
    );
  }

  #committedAt(sha: string): Promise<string | undefined> {
    let time = this.#commits.get(sha);
    if (time === undefined) {
      const url = `${rootOf(this.settings)}/repository/commits/${encodeURIComponent(sha)}`;
      // Only axes numbered by commit time need it, so a secret without access to commits is no reason to fail.
      time = findJson(this.context, url, commit, this.#init).then(
        (found) => found?.value.committed_date,
        (error) => {
          if (error instanceof HubError && error.code === "BAD_REQUEST") return undefined;
          throw error;
        },
      );
      this.#commits.set(sha, time);
    }
    return time;
  }
}

type Case = NonNullable<z.infer<typeof report>["test_suites"][number]["test_cases"]>[number];

function toResult(
  { status, name, classname, execution_time, system_output, stack_trace }: Case,
): ResultRecord {
  const known = OUTCOMES[status];
  const message = foreignText([system_output, stack_trace].map(textOf).filter(Boolean).join("\n"));
  const durationMs = foreignNumber(execution_time, 1000);
  return {
    case: foreignName([classname, name].filter(Boolean).join(".")) || "(no name)",
    outcome: known ?? "unresolved",
    ...(known === undefined ? { word: status || "(none)" } : {}),
    ...(durationMs === undefined ? {} : { durationMs }),
    ...(message === "" ? {} : { message }),
  };
}

/** A text, or another value as JSON. */
function textOf(value: unknown): string {
  return typeof value === "string"
    ? value
    : value === null || value === undefined
    ? ""
    : JSON.stringify(value);
}
