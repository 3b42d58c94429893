import { runHead, type RunRecord, runUrl } from "../schemas/record.ts";
import type { ScrapeContext } from "./context.ts";
import type { ScrapeBatch, ScrapedTest, Scraper } from "./scraper.ts";

/** Results of one case in one run; their number is a Postgres `smallint`. */
const MAX_ORDINAL = 32_767;

/** Why a run cannot be stored, or undefined. What a source says of a run is foreign: one bad run must not stop its batch. */
export function runFault(run: RunRecord): string | undefined {
  const [issue] = runHead.safeParse(run).error?.issues ?? [];
  if (issue !== undefined) {
    return `has a ${issue.path.join(".") || "head"} that cannot be kept: ${issue.message}`;
  }
  for (const text of [run.externalId, run.axis, run.package, run.reason, run.url]) {
    if (text?.includes("\0")) return "holds a NUL character";
  }
  if (run.results.length > MAX_ORDINAL) {
    const times = new Map<string, number>();
    for (const { case: name } of run.results) {
      const count = (times.get(name) ?? 0) + 1;
      if (count > MAX_ORDINAL) return `names one case more than ${MAX_ORDINAL} times`;
      times.set(name, count);
    }
  }
  return undefined;
}

/**
 * What a scraper yields, fit to be stored: a run that cannot be kept is counted as ignored. It ends when the context's
 * signal aborts, even where the scraper does not heed it.
 * @throws what the scraper throws; the signal's reason
 */
export async function* checkedBatches(
  scraper: Scraper,
  test: ScrapedTest<unknown>,
  watermark: string | null,
  context: ScrapeContext,
): AsyncGenerator<ScrapeBatch> {
  const { signal } = context;
  const batches = scraper.scrape(test, watermark, context);
  try {
    while (true) {
      signal.throwIfAborted();
      const next = await orAborted(batches.next(), signal);
      signal.throwIfAborted();
      if (next.done) return;
      yield { ...next.value, runs: next.value.runs.map(withLink).filter((run) => isFit(run, context)) };
    }
  } finally {
    // One that hangs never answers this; nobody waits for it.
    batches.return(undefined).catch((error) => {
      context.log("a scraper failed as it was ended", { reason: String(error) });
    });
  }
}

/** A run without its link, where that is none that may be followed; the rest of it is of use. */
function withLink(run: RunRecord): RunRecord {
  if (run.url === undefined || runUrl.safeParse(run.url).success) return run;
  const { url: _url, ...rest } = run;
  return rest;
}

function isFit(run: RunRecord, context: ScrapeContext): boolean {
  const fault = runFault(run);
  if (fault !== undefined) context.ignore(`a run ${fault}`, run.externalId);
  return fault === undefined;
}

function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = () => reject(signal.reason);
    signal.addEventListener("abort", stop, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", stop));
  });
}

/** A time in UTC ISO 8601, or undefined where it is none between the years 1970 and 9999. */
export function isoTime(time: string | null | undefined): string | undefined {
  const ms = time ? Date.parse(time) : NaN;
  return ms >= 0 && ms < 253_402_300_800_000 ? new Date(ms).toISOString() : undefined;
}
