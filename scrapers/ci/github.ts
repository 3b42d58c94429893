import { z } from "zod";
import { HubError } from "../../errors.ts";
import { compilePattern } from "../../patterns.ts";
import type { ResultRecord, RunRecord } from "../../schemas/record.ts";
import type { Outcome } from "../../schemas/outcome.ts";
import { CiScraper } from "./ci_scraper.ts";
import type { BuildSource, BuildWindow, CiBuild } from "./build_source.ts";
import { changelistOf, ciSettings, makeRun, pattern, serverUrl, timeWindow } from "./ci.ts";
import { findJson, getJson } from "../http/json_answers.ts";
import type { ScrapeContext } from "../core/context.ts";
import type { FetchInit } from "../http/bounded_fetch.ts";
import { caseName, excerpt, wordOf } from "../../formats/text.ts";
import { nextLink } from "../http/next_link.ts";
import { readCompileFailure } from "./github_failure.ts";
import { addResults, findResults, type FoundResults, noResults } from "./result_files.ts";

const settings = z.strictObject({
  url: serverUrl.default("https://api.github.com").meta({ description: "Address of the API" }),
  repository: z.string().regex(/^[\w.-]+\/[\w.-]+$/, "must be owner/name"),
  workflow: z.string().regex(/^[\w.-]+$/, "must be a workflow's file or id").optional().meta({
    description: "Only runs of this workflow, such as nightly.yml",
  }),
  branch: z.string().min(1).max(300).optional(),
  event: z.string().regex(/^\w+$/).optional().meta({
    description: "Only runs started by this event, such as schedule",
  }),
  results: z.enum(["artifacts", "checks"]).default("artifacts").meta({
    description: "Result files in the runs' artifacts, or each check run as a case",
  }),
  artifacts: pattern.default(".").meta({ description: "Regular expression over names of artifacts" }),
  ...ciSettings,
});
type Settings = z.infer<typeof settings>;

const runShape = z.object({
  id: z.number().int().positive(),
  name: z.string().nullish(),
  head_branch: z.string().nullish(),
  head_sha: z.string(),
  run_attempt: z.number().int().min(1).default(1),
  check_suite_id: z.number().int().nullish(),
  status: z.string().nullish(),
  conclusion: z.string().nullish(),
  created_at: z.string(),
  updated_at: z.string(),
  run_started_at: z.string().nullish(),
  html_url: z.string().nullish(),
  head_commit: z.object({ timestamp: z.string().nullish() }).nullish(),
});
const runPage = z.object({ workflow_runs: z.array(runShape).max(1000) });
const artifactPage = z.object({
  artifacts: z.array(
    z.object({ id: z.number().int(), name: z.string(), expired: z.boolean().default(false) }),
  ),
});
const checkPage = z.object({
  check_runs: z.array(z.object({
    name: z.string(),
    status: z.string(),
    conclusion: z.string().nullish(),
    started_at: z.string().nullish(),
    completed_at: z.string().nullish(),
    output: z.object({ title: z.string().nullish(), summary: z.string().nullish() }).nullish(),
  })),
});
type CheckRun = z.infer<typeof checkPage>["check_runs"][number];

/** Conclusions of a check run (REST API, "Check runs"). */
const OUTCOMES: Record<string, Outcome> = {
  success: "passed",
  failure: "failed",
  timed_out: "timeout",
  startup_failure: "error",
  action_required: "unresolved",
  neutral: "skipped",
  skipped: "skipped",
  cancelled: "not_run",
  stale: "not_run",
};
const PAGE = 100;
/** Most items of one list that the API returns. */
const MAX_LISTED = 1000;

interface GitHubBuild extends CiBuild {
  run: z.infer<typeof runShape>;
}

/** Reads workflow runs of a GitHub repository: result files in artifacts, or check runs (REST API 2022-11-28). */
export class GitHubScraper extends CiScraper<typeof settings> {
  readonly tag = "github";
  readonly summary = "Artifacts or check runs of a GitHub repository's workflow runs";
  readonly settings = settings;

  protected addressOf(settings: Settings): string {
    return rootOf(settings);
  }

  protected windowOf(settings: Settings, context: ScrapeContext): BuildWindow {
    return timeWindow(settings, context);
  }

  protected buildsOf(settings: Settings, context: ScrapeContext): WorkflowRuns {
    return new WorkflowRuns(settings, context);
  }
}

/** Whether a page is the last. A short page may be followed by others; then it has a `Link`. */
function isLast(page: unknown[], headers: Headers): boolean {
  return page.length < PAGE && nextLink(headers.get("link")) === undefined;
}

function rootOf({ url, repository }: Settings): string {
  return `${url}/repos/${repository}`;
}

class WorkflowRuns implements BuildSource<GitHubBuild> {
  readonly #init: FetchInit;

  constructor(readonly settings: Settings, readonly context: ScrapeContext) {
    const { secret } = settings;
    this.#init = {
      headers: {
        accept: "application/vnd.github+json",
        "x-github-api-version": "2022-11-28",
        "user-agent": "c-hub",
      },
      ...(secret === undefined ? {} : { secret: { name: secret, as: "bearer" } }),
    };
  }

  /** Newest first. Runs beyond the API's limit are fetched with a query of their own, up to the oldest run seen. */
  async *list(from: number): AsyncGenerator<GitHubBuild[]> {
    const { settings: { workflow, branch, event }, context } = this;
    const root = `${rootOf(this.settings)}/actions${
      workflow === undefined ? "" : `/workflows/${workflow}`
    }/runs`;
    const since = `${new Date(from).toISOString().slice(0, 19)}Z`;
    let until = "";
    while (true) {
      let listed = 0;
      let oldest = "";
      for (let page = 1; page <= MAX_LISTED / PAGE; page++) {
        const query = new URLSearchParams({
          created: until === "" ? `>=${since}` : `${since}..${until}`,
          per_page: String(PAGE),
          page: String(page),
          ...(branch === undefined ? {} : { branch }),
          ...(event === undefined ? {} : { event }),
        });
        const { value: { workflow_runs: runs }, headers } = await getJson(
          context,
          `${root}?${query}`,
          runPage,
          this.#init,
        );
        yield runs.map((run) => ({
          id: String(run.id),
          version: `${run.run_attempt} ${run.status} ${run.updated_at}`,
          at: Date.parse(run.created_at),
          isOver: run.status === "completed",
          run,
        }));
        listed += runs.length;
        for (const run of runs) if (oldest === "" || run.created_at < oldest) oldest = run.created_at;
        if (isLast(runs, headers)) break;
      }
      if (listed < MAX_LISTED) return;
      if (oldest === until) {
        throw new HubError(
          "BAD_GATEWAY",
          `${root} has more than ${MAX_LISTED} runs created in the same second, ${until}; the API lists no more.`,
        );
      }
      until = oldest;
    }
  }

  async read({ run }: GitHubBuild): Promise<RunRecord | string> {
    const changelist = changelistOf(run.head_sha);
    if (changelist === undefined) return "names no commit";
    const found = this.settings.results === "checks"
      ? { ...noResults(), results: await this.#checks(run) }
      : await this.#artifacts(run.id);
    if (found.results.length === 0 && found.missing > 0) return "has results that no longer exist";
    const isBroken = ["failure", "timed_out", "startup_failure"].includes(run.conclusion ?? "");
    const isEmpty = found.results.length === 0 && found.fault === undefined;
    if (isEmpty && !isBroken) return `has no results, and its conclusion is ${run.conclusion}`;
    const results = isEmpty
      ? await readCompileFailure(
        { root: rootOf(this.settings), context: this.context, init: this.#init },
        run,
      )
      : found.results;
    return makeRun(this.settings, {
      externalId: String(run.id),
      attempt: run.run_attempt,
      changelist,
      committedAt: run.head_commit?.timestamp,
      startedAt: run.run_started_at ?? run.created_at,
      finishedAt: run.updated_at,
      url: run.html_url ?? undefined,
      environment: { branch: run.head_branch, workflow: run.name },
      results,
      fault: results.length === 0
        ? found.fault ?? `the workflow run ended as ${run.conclusion} and produced no results`
        : undefined,
    });
  }

  /** A rerun's artifacts replace earlier artifacts of the same name. */
  async #artifacts(id: number): Promise<FoundResults> {
    const wanted = compilePattern(this.settings.artifacts);
    const all = noResults();
    const root = `${rootOf(this.settings)}/actions`;
    const latest = new Map<string, { id: number; expired: boolean }>();
    for (let page = 1; page <= MAX_LISTED / PAGE; page++) {
      const url = `${root}/runs/${id}/artifacts?per_page=${PAGE}&page=${page}`;
      const found = await findJson(this.context, url, artifactPage, this.#init);
      for (const one of found?.value.artifacts ?? []) {
        if (wanted.test(one.name) && one.id > (latest.get(one.name)?.id ?? 0)) latest.set(one.name, one);
      }
      if (found === undefined || isLast(found.value.artifacts, found.headers)) break;
      if (page === MAX_LISTED / PAGE) this.context.ignore("has more artifacts than are read", String(id));
    }
    for (const [name, { id: artifact, expired }] of latest) {
      const place = `run ${id} artifact ${name}`;
      const init = { ...this.#init, name: `${name}.zip`, place };
      if (expired) {
        this.context.ignore("is an artifact that has expired", place);
        all.missing++;
      } else addResults(all, await findResults(this.context, `${root}/artifacts/${artifact}/zip`, init));
    }
    return all;
  }

  async #checks({ id, check_suite_id }: { id: number; check_suite_id?: number | null | undefined }) {
    const results: ResultRecord[] = [];
    if (!check_suite_id) {
      this.context.ignore("is a run without a check suite", String(id));
      return results;
    }
    for (let page = 1; page <= MAX_LISTED / PAGE; page++) {
      const url = `${
        rootOf(this.settings)
      }/check-suites/${check_suite_id}/check-runs?filter=latest&per_page=${PAGE}&page=${page}`;
      const { value: { check_runs: checks }, headers } = await getJson(
        this.context,
        url,
        checkPage,
        this.#init,
      );
      results.push(...checks.map(toResult));
      if (isLast(checks, headers)) break;
      if (page === MAX_LISTED / PAGE) this.context.ignore("has more check runs than are read", String(id));
    }
    return results;
  }
}

function toResult({ name, status, conclusion, started_at, completed_at, output }: CheckRun): ResultRecord {
  const word = conclusion ?? status;
  const outcome = OUTCOMES[word] ?? "unresolved";
  const durationMs = Date.parse(completed_at ?? "") - Date.parse(started_at ?? "");
  const message = outcome === "passed"
    ? undefined
    : excerpt([output?.title, output?.summary].filter(Boolean).join("\n"));
  return {
    case: caseName(name),
    outcome,
    ...(["success", "failure", "skipped"].includes(word) ? {} : { word: wordOf(word) || "(none)" }),
    ...(durationMs >= 0 ? { durationMs } : {}),
    ...(message === undefined ? {} : { message }),
  };
}
