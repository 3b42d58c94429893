import type { z } from "zod";
import type { RunRecord } from "../schemas/record.ts";
import type { ReadPolicy } from "./http/read_policy.ts";
import type { ScrapeContext } from "./core/context.ts";

/** A test as its scraper sees it. */
export interface ScrapedTest<S> {
  name: string;
  settings: S;
}

/** Runs that are stored together, and how far the source has been read with them. */
export interface ScrapeBatch {
  runs: RunRecord[];
  /** The scraper's own words; the next scrape begins after it. */
  watermark: string;
  /** The watermark where some of the runs could not be stored now, and are to be read again. Asked before the next batch is. */
  without?(refused: Pick<RunRecord, "externalId" | "attempt">[]): string;
}

/** Reads one kind of test system. It yields records and knows nothing of the database. */
export abstract class Scraper<S extends z.ZodType = z.ZodType> {
  /** What a test names it by. */
  abstract readonly tag: string;
  /** One line for people. */
  abstract readonly summary: string;
  /** What a test must set. */
  abstract readonly settings: S;

  /** `runs.source`: the same for the same source, so that a run is stored once. */
  abstract source(test: ScrapedTest<z.infer<S>>, allow: ReadPolicy): string;

  /** Throws a HubError BAD_REQUEST where the settings name what the hub may not read. */
  async check(_settings: z.infer<S>, _allow: ReadPolicy): Promise<void> {}

  /** Yields what is newer than `watermark` (null: everything), oldest first. Stops when `context.signal` aborts. */
  abstract scrape(
    test: ScrapedTest<z.infer<S>>,
    watermark: string | null,
    context: ScrapeContext,
  ): AsyncGenerator<ScrapeBatch>;
}
