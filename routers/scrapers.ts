import { z } from "zod";
import { listScraperHealth } from "../db/tests/scrapes.ts";
import { scrapers } from "../scrapers/mod.ts";
import { scraperShape } from "../schemas/scrape.ts";
import { maySeeSecrets } from "./context.ts";
import { procedure, router } from "./trpc.ts";
import { outputSchema } from "./output_schema.ts";

export const scrapersRouter = router({
  list: procedure
    .meta({
      method: "GET",
      path: "/api/scrapers",
      summary: "List scrapers: tag, JSON Schema of the settings, and health",
      role: "anyone",
    })
    .input(z.object({}))
    .output(outputSchema(z.object({ items: z.array(scraperShape) })))
    .query(async ({ ctx }) => {
      const health = new Map((await listScraperHealth(ctx.sql)).map((row) => [row.scraper, row]));
      const items = [...scrapers.values()].map((scraper) => {
        const { scraper: _tag, ...found } = health.get(scraper.tag) ??
          { scraper: "", tests: 0, enabled: 0, due: 0, failing: [], lastSuccessAt: null, averageMs: null };
        const failing = !maySeeSecrets(ctx)
          ? found.failing.map((one) => ({ ...one, error: null }))
          : found.failing;
        return {
          tag: scraper.tag,
          summary: scraper.summary,
          settings: z.toJSONSchema(scraper.settings) as Record<string, unknown>,
          health: { ...found, failing },
        };
      });
      return { items };
    }),
});
