import { HubError } from "../../errors.ts";
import { cleanText } from "../../formats/text.ts";
import type { ScrapeContext } from "./context.ts";
import { fitRuns } from "./records.ts";
import type { ScrapeBatch, ScrapedTest, Scraper } from "../scraper.ts";

/**
 * Yields a scraper's batches, made fit for storage by `fitRuns`. Ends when the context's signal aborts, even if the scraper
 * ignores the signal.
 * @throws what the scraper throws; the signal's reason; HubError BAD_GATEWAY when the watermark cannot be stored
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
    // Not awaited: a scraper that hangs would never settle it.
    batches.return(undefined).catch((error) => {
      context.log("a scraper failed while being stopped", { reason: String(error) });
    });
  }
}

/** Rejects a watermark that Postgres cannot store. It may contain a source's cursor, which must not be altered. */
function checkWatermark(watermark: string): void {
  if (cleanText(watermark) === watermark) return;
  throw new HubError(
    "BAD_GATEWAY",
    `The source's watermark contains a NUL or a lone surrogate, which cannot be stored: ${
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
