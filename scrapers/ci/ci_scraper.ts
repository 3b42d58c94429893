import type { z } from "zod";
import type { ScrapeContext } from "../core/context.ts";
import type { ReadPolicy } from "../http/read_policy.ts";
import { type ScrapeBatch, type ScrapedTest, Scraper } from "../scraper.ts";
import { parseWatermark } from "./build_watermark.ts";
import type { BuildSource, BuildWindow, CiBuild } from "./build_source.ts";
import { checkServer } from "./ci.ts";
import { scrapeBuilds } from "./ci_builds.ts";

/** The settings that every CI scraper has. */
interface ServerSettings {
  url: string;
  secret?: string | undefined;
}

/** Reads the builds of a CI server. A subclass states where its builds are, and lists and reads them. */
export abstract class CiScraper<S extends z.ZodType<ServerSettings>> extends Scraper<S> {
  /** What distinguishes one source of builds from another of this kind, such as the URL of a job. */
  protected abstract addressOf(settings: z.infer<S>): string;

  protected abstract windowOf(settings: z.infer<S>, context: ScrapeContext): BuildWindow;

  /** `isFirst`: no earlier scrape left a watermark. */
  protected abstract buildsOf(
    settings: z.infer<S>,
    context: ScrapeContext,
    isFirst: boolean,
  ): BuildSource<CiBuild>;

  source({ settings }: ScrapedTest<z.infer<S>>): string {
    return `${this.tag}:${this.addressOf(settings)}`;
  }

  override async check({ url, secret }: z.infer<S>, allow: ReadPolicy): Promise<void> {
    await checkServer(url, secret, allow);
  }

  scrape(
    { settings }: ScrapedTest<z.infer<S>>,
    watermark: string | null,
    context: ScrapeContext,
  ): AsyncGenerator<ScrapeBatch> {
    const window = this.windowOf(settings, context);
    const builds = this.buildsOf(settings, context, parseWatermark(watermark) === undefined);
    return scrapeBuilds(builds, { watermark, window, context });
  }
}
