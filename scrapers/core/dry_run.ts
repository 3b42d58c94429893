import type { Counts } from "../../schemas/outcome.ts";
import type { RunRecord } from "../../schemas/record.ts";
import { checkedBatches } from "./validate_batches.ts";
import { type ContextOptions, createContext, type ScrapeCounts } from "./context.ts";
import { ignoreUnplaced } from "./records.ts";
import type { Scraper } from "../scraper.ts";

const SHOWN_RUNS = 20;
const SHOWN_RESULTS = 5;

export interface DryRun {
  runs: number;
  results: number;
  /** The first 20 runs, each with its counts and first 5 results. */
  items: (Omit<RunRecord, "results"> & { counts: Counts; results: RunRecord["results"] })[];
  watermark: string | null;
  /** Whether the time limit ended the scrape early. */
  isCut: boolean;
  counts: ScrapeCounts;
}

export interface DryOptions extends ContextOptions {
  timeLimitMs: number;
  /** Returns the runs that have no changelist on their axis, with the reason; by default none. */
  findUnresolved?(runs: RunRecord[]): Promise<Map<RunRecord, string>>;
}

/** Reports what a scrape would store and ignore, for at most `timeLimitMs`. Stores nothing. @throws what the scraper throws */
export async function tryScrape(
  scraper: Scraper,
  test: { name: string; settings: unknown },
  watermark: string | null,
  { timeLimitMs, findUnresolved = () => Promise.resolve(new Map()), ...options }: DryOptions,
): Promise<DryRun> {
  const limit = AbortSignal.timeout(timeLimitMs);
  const { context, counts } = createContext({ ...options, signal: AbortSignal.any([limit, options.signal]) });
  const dry: DryRun = { runs: 0, results: 0, items: [], watermark, isCut: false, counts };
  try {
    for await (const batch of checkedBatches(scraper, test, watermark, context)) {
      const unplaced = await findUnresolved(batch.runs);
      for (const [run, reason] of unplaced) ignoreUnplaced(context, run, reason);
      for (const { results, ...head } of batch.runs.filter((run) => !unplaced.has(run))) {
        dry.runs++;
        dry.results += results.length;
        if (dry.items.length < SHOWN_RUNS) {
          dry.items.push({
            ...head,
            counts: countOutcomes(results),
            results: results.slice(0, SHOWN_RESULTS),
          });
        }
      }
      dry.watermark = batch.watermark;
      if (limit.aborted) break;
    }
  } catch (error) {
    if (!limit.aborted) throw error;
  }
  dry.isCut = limit.aborted;
  return dry;
}

function countOutcomes(results: RunRecord["results"]): Counts {
  const counts: Counts = {};
  for (const { outcome } of results) counts[outcome] = (counts[outcome] ?? 0) + 1;
  return counts;
}
