import { z } from "zod";
import { HubError } from "../errors.ts";
import type { ReadPolicy } from "./http/read_policy.ts";
import { BuildbotScraper } from "./ci/buildbot.ts";
import { FilesScraper } from "./files.ts";
import { GitHubScraper } from "./ci/github.ts";
import { GitLabScraper } from "./ci/gitlab.ts";
import { JenkinsScraper } from "./ci/jenkins.ts";
import { JsonScraper } from "./json.ts";
import { LntScraper } from "./ci/lnt.ts";
import { PushScraper } from "./push.ts";
import type { Scraper } from "./scraper.ts";
import { VrlScraper } from "./vrl.ts";

export { readPolicyOf } from "./http/read_policy.ts";
export { tryScrape } from "./core/dry_run.ts";
export { createFetch } from "./http/fetch.ts";
export { createRateLimits } from "./http/rate_limits.ts";
export { checkListUrl, MAX_LIST, readLabelList } from "./http/label_list.ts";

export type Registry = ReadonlyMap<string, Scraper>;

/** @throws HubError CONFLICT when two scrapers have the same tag. */
export function createRegistry(scrapers: Scraper[]): Registry {
  const registry = new Map<string, Scraper>();
  for (const scraper of scrapers) {
    if (registry.has(scraper.tag)) {
      throw new HubError("CONFLICT", `Two scrapers have the tag ${JSON.stringify(scraper.tag)}.`);
    }
    registry.set(scraper.tag, scraper);
  }
  return registry;
}

/** All scrapers by tag. Add a new scraper here. */
export const scrapers: Registry = createRegistry(
  [
    new VrlScraper(),
    new FilesScraper(),
    new BuildbotScraper(),
    new JenkinsScraper(),
    new GitLabScraper(),
    new GitHubScraper(),
    new LntScraper(),
    new JsonScraper(),
    new PushScraper(),
  ] as Scraper[],
);

/** Returns the scraper with a tag. @throws HubError BAD_REQUEST that lists the known tags. */
export function getScraper(tag: string, registry: Registry = scrapers): Scraper {
  const scraper = registry.get(tag);
  if (scraper !== undefined) return scraper;
  throw new HubError(
    "BAD_REQUEST",
    `There is no scraper ${JSON.stringify(tag)}; use one of ${[...registry.keys()].join(", ")}.`,
    {
      issues: [{ path: "scraper", message: "is not a known tag" }],
    },
  );
}

/** Checks settings and fills in defaults. @throws HubError BAD_REQUEST with an issue for each fault. */
export async function checkSettings(
  tag: string,
  settings: unknown,
  allow: ReadPolicy,
  registry: Registry = scrapers,
): Promise<Record<string, unknown>> {
  const scraper = getScraper(tag, registry);
  const parsed = scraper.settings.safeParse(settings);
  if (!parsed.success) {
    const issues = parsed.error.issues.map((issue) => ({
      path: ["settings", ...issue.path].join("."),
      message: issue.message,
    }));
    throw new HubError(
      "BAD_REQUEST",
      `Invalid settings for the scraper ${tag}: ${z.prettifyError(parsed.error)}`,
      { issues },
    );
  }
  await scraper.check(parsed.data, allow);
  return parsed.data as Record<string, unknown>;
}
