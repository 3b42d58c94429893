import { z } from "zod";
import { HubError } from "../../errors.ts";
import { compilePattern } from "../../patterns.ts";
import type { RunRecord } from "../../schemas/record.ts";
import { CiScraper } from "./ci_scraper.ts";
import type { BuildSource, BuildWindow, CiBuild } from "./build_source.ts";
import { type BuildPlace, readCompileFailure, readLogs, readSets, readSteps } from "./buildbot_results.ts";
import { changelistOf, ciSettings, makeRun, pattern, serverUrl, timeWindow } from "./ci.ts";
import { getJson } from "../http/json_answers.ts";
import type { ScrapeContext } from "../core/context.ts";
import type { FetchInit } from "../http/bounded_fetch.ts";
import { type FoundResults, noResults } from "./result_files.ts";

const settings = z.strictObject({
  url: serverUrl.meta({ description: "The Buildbot master's address" }),
  builder: z.string().min(1).max(300).meta({ description: "Name of the builder" }),
  property: z.string().min(1).max(200).default("got_revision").meta({
    description: "Property of the build that contains its changelist",
  }),
  codebase: z.string().max(200).optional().meta({
    description: "Codebase whose revision to use, when the property has a revision for each",
  }),
  results: z.enum(["sets", "logs", "steps"]).default("sets").meta({
    description: "Test result sets, result files that steps logged, or each step as a case",
  }),
  logs: pattern.default(".").meta({ description: "Regular expression over `step/log`, for logs" }),
  ...ciSettings,
});
type Settings = z.infer<typeof settings>;

const builderPage = z.object({
  builders: z.array(z.object({ builderid: z.number().int(), name: z.string() })),
});
const seconds = z.number().min(0).nullish();
const buildPage = z.object({
  builds: z.array(z.object({
    buildid: z.number().int().positive(),
    builderid: z.number().int(),
    number: z.number().int(),
    complete: z.boolean(),
    results: z.number().int().nullish(),
    started_at: seconds,
    complete_at: seconds,
    state_string: z.string().nullish(),
    properties: z.record(z.string(), z.tuple([z.unknown(), z.unknown()])).nullish(),
  })).max(1000),
});
type BuildbotBuild = z.infer<typeof buildPage>["builds"][number];

/** Build result codes of builds whose tests never ran (developer manual, "Build Result Codes"). */
const NOT_RUN: Record<number, string> = { 3: "was skipped", 5: "was retried", 6: "was cancelled" };
const PAGE = 100;
const MAX_PAGES = 500;

interface Listed extends CiBuild {
  build: BuildbotBuild;
}

/** Reads the builds of a Buildbot builder through the REST API v2 (master/buildbot/spec). */
export class BuildbotScraper extends CiScraper<typeof settings> {
  readonly tag = "buildbot";
  readonly summary = "Test result sets, logs or steps of a Buildbot builder's builds";
  readonly settings = settings;

  protected addressOf(settings: Settings): string {
    return `${settings.url} ${settings.builder}`;
  }

  protected windowOf(settings: Settings, context: ScrapeContext): BuildWindow {
    return timeWindow(settings, context);
  }

  protected buildsOf(settings: Settings, context: ScrapeContext): BuilderBuilds {
    return new BuilderBuilds(settings, context);
  }
}

class BuilderBuilds implements BuildSource<Listed> {
  readonly #init: FetchInit;
  readonly #root: string;

  constructor(readonly settings: Settings, readonly context: ScrapeContext) {
    const { secret, url } = settings;
    this.#root = `${url}/api/v2`;
    this.#init = secret === undefined ? {} : { secret: { name: secret, as: "basic" } };
  }

  /** Newest first. */
  async *list(from: number): AsyncGenerator<Listed[]> {
    const { settings: { builder, property }, context } = this;
    const { value: { builders } } = await getJson(
      context,
      `${this.#root}/builders?${new URLSearchParams({ name: builder })}`,
      builderPage,
      this.#init,
    );
    const id = builders.find(({ name }) => name === builder)?.builderid;
    if (id === undefined) {
      throw new HubError(
        "BAD_REQUEST",
        `${this.settings.url} has no builder ${JSON.stringify(builder)}.`,
      );
    }
    for (let page = 0; page < MAX_PAGES; page++) {
      const query = new URLSearchParams({
        order: "-number",
        limit: String(PAGE),
        offset: String(page * PAGE),
      });
      for (const name of new Set([property, "workername", "branch"])) query.append("property", name);
      const url = `${this.#root}/builders/${id}/builds?${query}`;
      const { value: { builds } } = await getJson(context, url, buildPage, this.#init);
      yield builds.map((build) => ({
        id: String(build.buildid),
        version: `${build.results} ${build.complete_at}`,
        at: (build.started_at ?? 0) * 1000,
        isOver: build.complete,
        build,
      }));
      const oldest = builds.at(-1)?.started_at;
      if (builds.length < PAGE || (oldest ?? 0) * 1000 < from) return;
    }
  }

  async read({ build }: Listed): Promise<RunRecord | string> {
    const { buildid, builderid, number, results: code, started_at, complete_at } = build;
    const reason = NOT_RUN[code ?? 0];
    if (reason !== undefined) return reason;
    const changelist = changelistOf(this.#revision(build));
    if (changelist === undefined) return `has no changelist in its property ${this.settings.property}`;
    const found = await this.#results(buildid);
    const isBroken = code === 2 || code === 4;
    if (found.results.length === 0 && !isBroken && found.fault === undefined) return "has no results";
    const results = found.results.length === 0 && found.fault === undefined && code === 2
      ? await readCompileFailure(this.#place(buildid))
      : found.results;
    return makeRun(this.settings, {
      externalId: String(buildid),
      changelist,
      startedAt: timeOf(started_at),
      finishedAt: timeOf(complete_at),
      url: `${this.settings.url}/#/builders/${builderid}/builds/${number}`,
      environment: { machine: textOf(build, "workername"), branch: textOf(build, "branch") },
      results,
      fault: results.length === 0
        ? found.fault ?? `the build produced no results: ${build.state_string ?? "it failed"}`
        : undefined,
    });
  }

  #revision({ properties }: BuildbotBuild): unknown {
    const { property, codebase } = this.settings;
    const value = properties?.[property]?.[0];
    if (typeof value !== "object" || value === null) return value;
    const each = value as Record<string, unknown>;
    return codebase === undefined ? Object.values(each)[0] : each[codebase];
  }

  #place(build: number): BuildPlace {
    return { root: this.#root, build, context: this.context, init: this.#init };
  }

  async #results(build: number): Promise<FoundResults> {
    const place = this.#place(build);
    switch (this.settings.results) {
      case "sets":
        return { ...noResults(), results: await readSets(place) };
      case "steps":
        return { ...noResults(), results: await readSteps(place) };
      case "logs":
        return await readLogs(place, compilePattern(this.settings.logs));
    }
  }
}

function textOf({ properties }: BuildbotBuild, name: string): string | undefined {
  const value = properties?.[name]?.[0];
  return typeof value === "string" ? value : undefined;
}

function timeOf(seconds: number | null | undefined): string | undefined {
  return seconds && seconds < 253_402_300_800 ? new Date(seconds * 1000).toISOString() : undefined;
}
