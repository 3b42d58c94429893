import type { z } from "zod";
import type { RunRecord } from "../schemas/record.ts";
import type { ReadPolicy } from "./http/read_policy.ts";
import type { ScrapeContext } from "./core/context.ts";

/** The part of a test that its scraper reads. */
export interface ScrapedTest<S> {
  name: string;
  settings: S;
}

/** Runs to store together, and the position in the source after them. */
export interface ScrapeBatch {
  runs: RunRecord[];
  /** Opaque position in the scraper's own format; the next scrape continues after it. */
  watermark: string;
  /** The watermark to store when some runs could not be stored and must be read again. Called before the next batch is read. */
  without?(refused: Pick<RunRecord, "externalId" | "attempt">[]): string;
}

/** Reads one kind of test system. It yields records and never touches the database. */
export abstract class Scraper<S extends z.ZodType = z.ZodType> {
  /** The name by which a test selects this scraper. */
  abstract readonly tag: string;
  /** One-line description. */
  abstract readonly summary: string;
  /** Schema of a test's settings. */
  abstract readonly settings: S;

  /** The value of `runs.source`. It must be stable for a source, so that each run is stored only once. */
  abstract source(test: ScrapedTest<z.infer<S>>, allow: ReadPolicy): string;

  /** @throws HubError BAD_REQUEST when the settings name a host or folder that the hub may not read */
  async check(_settings: z.infer<S>, _allow: ReadPolicy): Promise<void> {}

  /** Yields the runs newer than `watermark` (null: all), oldest first. Stops when `context.signal` aborts. */
  abstract scrape(
    test: ScrapedTest<z.infer<S>>,
    watermark: string | null,
    context: ScrapeContext,
  ): AsyncGenerator<ScrapeBatch>;
}
