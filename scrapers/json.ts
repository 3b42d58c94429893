import { z } from "zod";
import { HubError } from "../errors.ts";
import type { ResultRecord, RunRecord } from "../schemas/record.ts";
import type { ReadPolicy } from "./http/read_policy.ts";
import { changelistOf, checkServer, ciSettings, makeRun } from "./ci/ci.ts";
import { findJson } from "./http/json_answers.ts";
import { MAX_RESULTS } from "../formats/artifact.ts";
import type { ScrapeContext } from "./core/context.ts";
import type { FetchInit } from "./http/bounded_fetch.ts";
import {
  type Finder,
  finder,
  lister,
  outcomeWords,
  path,
  resultMaker,
  resultMapping,
  runMapping,
  textOf,
} from "./json/mapping.ts";
import { nextPage, readPages } from "./json/pages.ts";
import { type ScrapeBatch, type ScrapedTest, Scraper } from "./scraper.ts";

const { days: _days, overlapHours, ...common } = ciSettings;
const address = z.string().max(2000).regex(/^https?:\/\/[^\s#]+$/, "must be an http or https URL");
const settings = z.strictObject({
  url: address.meta({ description: "Address of the first page, with its query" }),
  secretAs: z.string().regex(/^(?:basic|bearer|header:[\w-]{1,64})$/, "must be basic, bearer or header:NAME")
    .default("bearer").meta({ description: "How the secret is sent: `basic`, `bearer` or `header:NAME`" }),
  next: nextPage.optional().meta({
    description: "Where to find the next page (default: there is only one page)",
  }),
  runs: path.meta({
    description: "JSONPath to the runs of a page, or to results that contain their run's id",
  }),
  run: runMapping,
  results: path.default("$").meta({
    description: "JSONPath to the results in a run; `$` when each item that `runs` finds is itself a result",
  }),
  resultsUrl: address.optional().meta({
    description: "Address of a run's results, with {externalId} in it, when the run does not contain them",
  }),
  result: resultMapping,
  outcomes: outcomeWords,
  since: z.strictObject({
    path,
    param: z.string().regex(/^[\w.[\]-]{1,100}$/).meta({ description: "Query parameter for the watermark" }),
    overlapHours,
  }).optional().meta({
    description:
      "JSONPath, in a run, to a value that grows with time (a time or a number); the greatest becomes the watermark",
  }),
  ...common,
});
type Settings = z.infer<typeof settings>;

/** Results yielded together. */
const BATCH_RESULTS = 10_000;

/**
 * Reads any paged JSON API by a declared mapping (JSONPath, RFC 9535) to runs and results. Consecutive results with the same
 * run id form one run.
 */
export class JsonScraper extends Scraper<typeof settings> {
  readonly tag = "json";
  readonly summary = "Any paged JSON API, by a declared mapping to runs and results";
  readonly settings = settings;

  source({ settings }: ScrapedTest<Settings>): string {
    return `json:${settings.url.split("?", 1)[0]}`;
  }

  override async check({ url, resultsUrl, secret }: Settings, allow: ReadPolicy): Promise<void> {
    await checkServer(url, secret, allow);
    if (resultsUrl !== undefined) checkServer(resultsUrl, undefined, allow);
  }

  async *scrape(
    { settings }: ScrapedTest<Settings>,
    watermark: string | null,
    context: ScrapeContext,
  ): AsyncGenerator<ScrapeBatch> {
    const { next, since } = settings;
    const init = initOf(settings);
    const list = lister(settings.runs);
    const mark = watermarkOf(since === undefined ? undefined : finder(since.path), watermark);
    const grouped = new Runs(settings, context, init);
    const from = new URL(settings.url);
    if (since !== undefined && watermark) {
      from.searchParams.set(since.param, sinceOf(watermark, since.overlapHours));
    }
    let batch: RunRecord[] = [];
    let results = 0;
    try {
      for await (
        const page of readPages(context, from.href, {
          next,
          init,
          isEmpty: (page) => list(page).length === 0,
        })
      ) {
        const items = list(page);
        context.seen(items.length);
        for (const item of items) {
          context.signal.throwIfAborted();
          const done = await grouped.add(item);
          mark.see(item);
          if (done === undefined) continue;
          batch.push(done);
          results += done.results.length;
          if (results < BATCH_RESULTS) continue;
          // The last run is still open, so the watermark moves only at the end.
          yield { runs: batch, watermark: watermark ?? "" };
          [batch, results] = [[], 0];
        }
      }
    } catch (error) {
      // Store the complete runs; since the watermark does not move, the next scrape reads them again.
      if (batch.length > 0) yield { runs: batch, watermark: watermark ?? "" };
      throw error;
    }
    const last = grouped.end();
    if (last !== undefined) batch.push(last);
    yield { runs: batch, watermark: mark.value };
  }
}

function initOf({ secret, secretAs }: Settings): FetchInit {
  if (secret === undefined) return {};
  const as = secretAs === "basic" || secretAs === "bearer" ? secretAs : { header: secretAs.slice(7) };
  return { secret: { name: secret, as } };
}

/** Tracks the greatest number or time seen. */
function watermarkOf(find: Finder | undefined, before: string | null) {
  let value = before ?? "";
  return {
    get value() {
      return value;
    },
    see(item: unknown) {
      const text = textOf(find?.(item));
      // Some sources write `N/A` for a missing time, which sorts after every time.
      if (text === undefined || text.length > 200 || !/^(?:\d{4}-\d\d|\d+(?:\.\d+)?$)/.test(text)) return;
      const isNumber = /^\d+(?:\.\d+)?$/.test(text) && (value === "" || !Number.isNaN(Number(value)));
      if (value === "" || (isNumber ? Number(text) > Number(value) : text > value)) value = text;
    },
  };
}

/** The value of the query parameter: a time minus the overlap, or a number unchanged. */
function sinceOf(watermark: string, hours: number): string {
  if (!/^\d{4}-\d\d-\d\d/.test(watermark)) return watermark;
  const ms = Date.parse(watermark);
  return Number.isNaN(ms) ? watermark : new Date(ms - hours * 3_600_000).toISOString();
}

/** Makes runs of items, joining consecutive items of the same run. */
class Runs {
  readonly #find: Record<string, Finder>;
  readonly #environment: [string, Finder][];
  readonly #results: (value: unknown) => unknown[];
  readonly #make: (value: unknown) => ResultRecord | string;
  readonly #done = new Set<string>();
  readonly #fingerprints = new Map<string, string>();
  #open: RunRecord | undefined;

  constructor(readonly settings: Settings, readonly context: ScrapeContext, readonly init: FetchInit) {
    const { environment, ...fields } = settings.run;
    this.#find = Object.fromEntries(Object.entries(fields).map(([key, text]) => [key, finder(text!)]));
    this.#environment = Object.entries(environment).map(([key, text]) => [key, finder(text)]);
    this.#results = lister(settings.results);
    this.#make = resultMaker(settings.result, settings.outcomes);
  }

  /** Adds an item; returns the previous run if this item completes it. */
  async add(item: unknown): Promise<RunRecord | undefined> {
    const rawId = this.#find.externalId!(item);
    const id = textOf(rawId);
    if (typeof rawId === "number" && Number.isInteger(rawId) && !Number.isSafeInteger(rawId)) {
      this.context.ignore(
        "has an id above 2^53, which loses digits as a JSON number; the source must send it as a string",
        id,
      );
      return undefined;
    }
    const attempt = Number(this.#find.attempt?.(item) ?? 1);
    const open = this.#open;
    const key = `${attempt} ${id}`;
    if (this.#fingerprints.has(key) && this.#isRepeat(key, item)) {
      this.context.ignore("is a repeat of an earlier run, as when a new run shifts it to the next page", id);
      return undefined;
    }
    if (open !== undefined && open.externalId === id && open.attempt === attempt) {
      this.#add(open, item);
      return undefined;
    }
    this.#open = undefined;
    const run = await this.#begin(item, id, attempt);
    if (typeof run === "string") this.context.ignore(run, id ?? "an item");
    else this.#open = run;
    return open;
  }

  /** Whether an item with its own results repeats an earlier run, judged by its first and last result. */
  #isRepeat(key: string, item: unknown): boolean {
    if (this.settings.resultsUrl !== undefined) return true;
    return this.settings.results !== "$" &&
      this.#fingerprints.get(key) === fingerprintOf(this.#results(item));
  }

  end(): RunRecord | undefined {
    return this.#open;
  }

  async #begin(item: unknown, id: string | undefined, attempt: number): Promise<RunRecord | string> {
    if (id === undefined || id === "") return "has no id at the path of `run.externalId`";
    const changelist = changelistOf(this.#find.changelist!(item));
    if (changelist === undefined) return "has no changelist at the path of `run.changelist`";
    const key = `${attempt} ${id}`;
    if (this.#done.has(key)) {
      throw new HubError(
        "BAD_GATEWAY",
        `The results of run ${
          JSON.stringify(id.slice(0, 300))
        } are not consecutive; the source must order by run.`,
      );
    }
    this.#done.add(key);
    const text = (field: string) => textOf(this.#find[field]?.(item));
    const own = text("package");
    const run = makeRun(own ? { ...this.#common, package: own } : this.#common, {
      externalId: id,
      attempt,
      changelist,
      committedAt: timeOf(this.#find.committedAt?.(item)),
      startedAt: timeOf(this.#find.startedAt?.(item)),
      finishedAt: timeOf(this.#find.finishedAt?.(item)),
      url: text("url"),
      environment: Object.fromEntries(this.#environment.map(([key, find]) => [key, textOf(find(item))])),
      results: [],
    });
    if (typeof run === "string") return run;
    const { resultsUrl } = this.settings;
    if (resultsUrl === undefined) this.#add(run, item);
    else {
      const url = resultsUrl.replaceAll("{externalId}", encodeURIComponent(id));
      const init = new URL(url).origin === new URL(this.settings.url).origin ? this.init : {};
      const found = await findJson(this.context, url, z.unknown(), init);
      if (found === undefined) return "has no results at its resultsUrl";
      this.#add(run, found.value);
    }
    return run;
  }

  get #common() {
    return { ...this.settings, days: 0, overlapHours: 0 };
  }

  #add(run: RunRecord, value: unknown): void {
    const found = this.#results(value);
    if (this.settings.results !== "$") {
      this.#fingerprints.set(`${run.attempt} ${run.externalId}`, fingerprintOf(found));
    }
    for (const one of found) {
      const result = this.#make(one);
      if (typeof result === "string") this.context.ignore(`is a result that ${result}`, run.externalId);
      else run.results.push(result);
    }
    if (run.results.length > MAX_RESULTS) {
      throw new HubError("BAD_GATEWAY", `The run ${run.externalId} has more than ${MAX_RESULTS} results.`);
    }
  }
}

function fingerprintOf(results: unknown[]): string {
  return JSON.stringify([results.length, results[0], results.at(-1)]).slice(0, 1000);
}

/** A time as ISO 8601, from text or from a Unix time in seconds or milliseconds. */
function timeOf(value: unknown): string | undefined {
  if (typeof value === "string") return value;
  if (typeof value !== "number" || !(value > 0) || value > 1e14) return undefined;
  return new Date(value < 1e11 ? value * 1000 : value).toISOString();
}
