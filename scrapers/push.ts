import { z } from "zod";
import { type ScrapeBatch, type ScrapedTest, Scraper } from "./scraper.ts";

const settings = z.strictObject({});

/** For tests whose results are pushed: there is nothing to read. */
export class PushScraper extends Scraper<typeof settings> {
  readonly tag = "push";
  readonly summary = "Results are pushed to POST /api/results; nothing is scraped";
  readonly settings = settings;

  source(test: ScrapedTest<unknown>): string {
    return `push:${test.name}`;
  }

  // There is nothing to yield.
  async *scrape(): AsyncGenerator<ScrapeBatch> {}
}
