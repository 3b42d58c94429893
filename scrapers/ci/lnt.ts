import { z } from "zod";
import { HubError } from "../../errors.ts";
import type { RunRecord } from "../../schemas/record.ts";
import { CiScraper } from "./ci_scraper.ts";
import type { BuildSource, BuildWindow, CiBuild } from "./build_source.ts";
import { changelistOf, ciSettings, makeRun, serverUrl } from "./ci.ts";
import { getJson } from "../http/json_answers.ts";
import type { ScrapeContext } from "../core/context.ts";
import { lnt as lntFormat } from "../../formats/lnt.ts";
import { findResults } from "./result_files.ts";

const word = z.string().regex(/^[\w.-]{1,100}$/, "must be a plain name");
const { overlapHours: _, ...common } = ciSettings;
const settings = z.strictObject({
  url: serverUrl.meta({ description: "The LNT server's address" }),
  database: word.default("default"),
  suite: word.default("nts").meta({ description: "LNT's test suite" }),
  machines: z.array(z.string().min(1).max(300)).max(1000).optional().meta({
    description: "Names of the machines to read (default: all)",
  }),
  order: word.optional().meta({
    description: "Order field that contains the changelist (default: the first field that LNT orders by)",
  }),
  ...common,
});
type Settings = z.infer<typeof settings>;

const machinePage = z.object({
  machines: z.array(z.object({ id: z.number().int(), name: z.string() })).max(100_000),
});
const runPage = z.object({
  runs: z.array(
    z.looseObject({
      id: z.number().int().positive(),
      start_time: z.string().nullish(),
      end_time: z.string().nullish(),
      order_by: z.string().nullish(),
    }),
  ).max(1_000_000),
});

interface LntRun extends CiBuild {
  machine: string;
  run: z.infer<typeof runPage>["runs"][number];
}

/** Number of run ids before the newest read that each scrape checks again. */
const OVERLAP_RUNS = 1000;

/** Reads the runs of an LLVM LNT server through its REST API (lnt/server/ui/api.py: `/api/db_<database>/v4/<suite>/…`). */
export class LntScraper extends CiScraper<typeof settings> {
  readonly tag = "lnt";
  readonly summary = "Runs and samples of an LLVM LNT server";
  readonly settings = settings;

  protected addressOf(settings: Settings): string {
    return rootOf(settings);
  }

  protected windowOf(): BuildWindow {
    return { first: 1, overlap: OVERLAP_RUNS, patience: OVERLAP_RUNS };
  }

  protected buildsOf(settings: Settings, context: ScrapeContext, isFirst: boolean): LntRuns {
    return new LntRuns(settings, context, isFirst);
  }
}

function rootOf({ url, database, suite }: Settings): string {
  return `${url}/api/db_${database}/v4/${suite}`;
}

class LntRuns implements BuildSource<LntRun> {
  /** The greatest id of the runs older than the first scrape's window. */
  floor: number | undefined;

  constructor(readonly settings: Settings, readonly context: ScrapeContext, readonly isFirst: boolean) {}

  get #init() {
    const { secret } = this.settings;
    return secret === undefined ? {} : { secret: { name: secret, as: { header: "AuthToken" } } };
  }

  async *list(): AsyncGenerator<LntRun[]> {
    const { settings, context } = this;
    const root = rootOf(settings);
    const { value: { machines } } = await getJson(context, `${root}/machines`, machinePage, this.#init);
    const missing = settings.machines?.find((name) => !machines.some((machine) => machine.name === name));
    if (missing !== undefined) {
      throw new HubError("BAD_REQUEST", `${root} has no machine ${JSON.stringify(missing)}.`);
    }
    const oldest = this.isFirst ? context.now().getTime() - settings.days * 86_400_000 : 0;
    for (const { id, name } of machines) {
      if (settings.machines !== undefined && !settings.machines.includes(name)) continue;
      const { value: { runs } } = await getJson(context, `${root}/machines/${id}`, runPage, this.#init);
      const isOld = (run: LntRun["run"]) => Date.parse(utc(run.start_time) ?? "") < oldest;
      for (const run of runs) if (isOld(run)) this.floor = Math.max(this.floor ?? 0, run.id);
      yield runs.filter((run) => !isOld(run)).map((run) => ({
        id: String(run.id),
        version: `${run.end_time}`,
        at: run.id,
        isOver: true,
        machine: name,
        run,
      }));
    }
  }

  async read({ id, run, machine }: LntRun): Promise<RunRecord | string> {
    const { settings, context } = this;
    const field = settings.order ?? run.order_by?.split(",")[0]?.trim() ?? "llvm_project_revision";
    const changelist = changelistOf(run[field]);
    if (changelist === undefined) return `has no changelist in its order's ${field}`;
    const { results, missing, fault } = await findResults(context, `${rootOf(settings)}/runs/${id}`, {
      ...this.#init,
      name: "run.json",
      place: `run ${id}`,
      format: lntFormat,
    });
    if (missing > 0) return "no longer exists";
    return makeRun({ ...settings, overlapHours: 0 }, {
      externalId: id,
      changelist,
      startedAt: utc(run.start_time),
      finishedAt: utc(run.end_time),
      url: `${settings.url}/db_${settings.database}/v4/${settings.suite}/${id}`,
      environment: { machine },
      results,
      fault,
    });
  }
}

/** LNT's times are in UTC without a zone; adds it. */
function utc(time: string | null | undefined): string | undefined {
  return time ? (/(?:Z|[-+]\d\d:?\d\d)$/.test(time) ? time : `${time.replace(" ", "T")}Z`) : undefined;
}
