import { z } from "zod";
import { type ScrapeBatch, type ScrapedTest, Scraper } from "./scraper.ts";

const settings = z.strictObject({});

/** The scraper of tests whose results are pushed: it reads nothing. */
export class PushScraper extends Scraper<typeof settings> {
  readonly tag = "push";
  readonly summary = "Results are pushed to POST /api/results; nothing is scraped";
  readonly settings = settings;

  source(test: ScrapedTest<unknown>): string {
    return `push:${test.name}`;
  }

  async *scrape(): AsyncGenerator<ScrapeBatch> {}
}
