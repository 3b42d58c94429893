import { HubError } from "../../errors.ts";
import { cleanText } from "../../formats/text.ts";
import type { ScrapeContext } from "./context.ts";
import { fitRuns } from "./records.ts";
import type { ScrapeBatch, ScrapedTest, Scraper } from "../scraper.ts";

/**
 * What a scraper yields, fit to be stored (see `fitRuns`). It ends when the context's signal aborts, even where the scraper
 * does not heed it.
 * @throws what the scraper throws; the signal's reason; HubError BAD_GATEWAY where the watermark cannot be stored
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
      checkWatermark(next.value.watermark);
      const runs = await fitRuns(next.value.runs, context);
      signal.throwIfAborted();
      yield { ...next.value, runs };
    }
  } finally {
    // One that hangs never answers this; nobody waits for it.
    batches.return(undefined).catch((error) => {
      context.log("a scraper failed as it was ended", { reason: String(error) });
    });
  }
}

/** A watermark may hold what the source said, such as a page's cursor; changed, it would mean another place. */
function checkWatermark(watermark: string): void {
  if (cleanText(watermark) === watermark) return;
  throw new HubError(
    "BAD_GATEWAY",
    `The source's watermark holds a NUL or a lone surrogate, which cannot be stored: ${
      JSON.stringify(watermark.slice(0, 100))
    }.`,
  );
}

function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = () => reject(signal.reason);
    signal.addEventListener("abort", stop, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", stop));
  });
}
