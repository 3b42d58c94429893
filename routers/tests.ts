import { z } from "zod";
import { forgetAlias, listAliases, renameCase } from "../db/tests/aliases.ts";
import { audited } from "../db/access/audit.ts";
import { findUnresolved } from "../db/ingest/resolve_changelists.ts";
import { createTest, deleteTest, getTest, getTestId, listTests, updateTest } from "../db/tests/tests.ts";
import { findTestToScrape, listScrapes } from "../db/tests/scrapes.ts";
import { checkSettings, createFetch, getScraper, readPolicyOf, tryScrape } from "../scrapers/mod.ts";
import { caseAlias, caseRename } from "../schemas/alias.ts";
import { flag, pageInput, pageOf, text } from "../schemas/common.ts";
import { MAX_CASE } from "../schemas/record.ts";
import { type Scrape, scrape, scrapeAnswer } from "../schemas/scrape.ts";
import {
  testInput,
  testList,
  testName,
  testPage,
  testPatch,
  type TestShape,
  testShape,
} from "../schemas/test.ts";
import { authorOf, type Context, maySeeSecrets } from "./context.ts";
import { procedure, router } from "./trpc.ts";
import { outputSchema } from "./output_schema.ts";

const DRY_RUN_MS = 25_000;
const byName = z.object({ name: testName });

export const testsRouter = router({
  list: procedure
    .meta({ method: "GET", path: "/api/tests", summary: "List tests by name", role: "anyone" })
    .input(testList)
    .output(outputSchema(testPage))
    .query(async ({ ctx, input }) => {
      const page = await listTests(ctx.sql, input);
      return { ...page, items: page.items.map((test) => shownTest(ctx, test)) };
    }),

  create: procedure
    .meta({ method: "POST", path: "/api/tests", summary: "Create a test", role: "admin", statuses: [201] })
    .input(testInput)
    .output(outputSchema(testShape))
    .mutation(async ({ ctx, input }) => {
      const settings = await checkSettings(input.scraper, input.settings, readPolicyOf(ctx.config));
      await createTest(ctx.sql, { ...input, settings }, authorOf(ctx));
      ctx.reply.status = 201;
      return await getTest(ctx.sql, input.name);
    }),

  get: procedure
    .meta({
      method: "GET",
      path: "/api/tests/{name}",
      summary: "Get a test with its last scrape",
      role: "anyone",
    })
    .input(byName)
    .output(outputSchema(testShape))
    .query(async ({ ctx, input }) => shownTest(ctx, await getTest(ctx.sql, input.name))),

  update: procedure
    .meta({
      method: "PATCH",
      path: "/api/tests/{name}",
      summary:
        "Update a test; a new scraper or new settings restart scraping from the beginning of the source",
      role: "admin",
    })
    .input(testPatch)
    .output(outputSchema(testShape))
    .mutation(async ({ ctx, input }) => {
      let patch = input;
      if (input.scraper !== undefined || input.settings !== undefined) {
        const now = await getTest(ctx.sql, input.name);
        const settings = await checkSettings(
          input.scraper ?? now.scraper,
          input.settings ?? now.settings,
          readPolicyOf(ctx.config),
        );
        patch = { ...input, settings };
      }
      await updateTest(ctx.sql, patch, authorOf(ctx));
      return await getTest(ctx.sql, input.name);
    }),

  delete: procedure
    .meta({
      method: "DELETE",
      path: "/api/tests/{name}",
      summary: "Delete a test; its results are kept unless `results` is true",
      role: "admin",
    })
    .input(
      byName.extend({
        results: flag.default(false).meta({ description: "Delete its runs and results too" }),
      }),
    )
    .output(outputSchema(z.object({ runsDeleted: z.number().int() })))
    .mutation(({ ctx, input }) => deleteTest(ctx.sql, input.name, input, authorOf(ctx))),

  scrape: procedure
    .meta({
      method: "POST",
      path: "/api/tests/{name}/scrape",
      summary: "Scrape now; `dryRun` stores nothing and returns what would be stored",
      role: "admin",
      statuses: [202, 200],
    })
    .input(byName.extend({ dryRun: flag.default(false) }))
    .output(outputSchema(scrapeAnswer))
    .mutation(async ({ ctx, input }) => {
      const testId = await getTestId(ctx.sql, input.name);
      if (input.dryRun) return { enqueued: false, dryRun: await dryRun(ctx, testId) };
      ctx.reply.status = 202;
      return {
        enqueued: await audited(
          ctx.sql,
          authorOf(ctx),
          { action: "test.scrape", object: `test ${input.name}` },
          (tx) =>
            ctx.queue.send("scrape", { testId, cause: "request" }, { singletonKey: String(testId), tx }),
        ),
        dryRun: null,
      };
    }),

  rename: procedure
    .meta({
      method: "POST",
      path: "/api/tests/{name}/aliases",
      summary: "Rename a case; its history is kept, and the old name becomes an alias",
      role: "triager",
    })
    .input(caseRename)
    .output(outputSchema(z.object({
      resultsMoved: z.number().int().meta({ description: "Number of results that already had the new name" }),
    })))
    .mutation(({ ctx, input }) => renameCase(ctx.sql, input, authorOf(ctx))),

  aliases: procedure
    .meta({
      method: "GET",
      path: "/api/tests/{name}/aliases",
      summary: "List the aliases (old names) of a test's cases",
      role: "anyone",
    })
    .input(byName)
    .output(outputSchema(z.object({ items: z.array(caseAlias) })))
    .query(async ({ ctx, input }) => ({ items: await listAliases(ctx.sql, input.name) })),

  forgetAlias: procedure
    .meta({
      method: "DELETE",
      path: "/api/tests/{name}/aliases",
      summary: "Delete an alias; from the next result on, the old name is a separate case",
      role: "triager",
    })
    .input(byName.extend({ case: text(MAX_CASE).meta({ description: "The old name" }) }))
    .output(outputSchema(z.object({})))
    .mutation(async ({ ctx, input }) => {
      await forgetAlias(ctx.sql, input, authorOf(ctx));
      return {};
    }),

  scrapes: procedure
    .meta({
      method: "GET",
      path: "/api/tests/{name}/scrapes",
      summary: "List the scrapes of a test, newest first",
      role: "anyone",
    })
    .input(byName.extend(pageInput))
    .output(outputSchema(pageOf(scrape)))
    .query(async ({ ctx, input }) => {
      const page = await listScrapes(ctx.sql, await getTestId(ctx.sql, input.name), input);
      return { ...page, items: page.items.map((one) => shownScrape(ctx, one)) };
    }),
});

async function dryRun(ctx: Context, testId: number) {
  const test = (await findTestToScrape(ctx.sql, testId, { disabled: true }))!;
  const scraper = getScraper(test.scraper);
  const allow = readPolicyOf(ctx.config);
  const settings = await checkSettings(test.scraper, test.settings, allow);
  const { counts, ...dry } = await tryScrape(scraper, { name: test.name, settings }, test.watermark, {
    allow,
    fetch: createFetch({ allow, attempts: 2 }),
    signal: ctx.signal,
    timeLimitMs: DRY_RUN_MS,
    findUnresolved: (runs) => findUnresolved(ctx.sql, runs),
  });
  return { ...dry, ...counts };
}

function shownTest(ctx: Context, test: TestShape): TestShape {
  if (maySeeSecrets(ctx)) return test;
  return { ...test, settings: null, lastScrape: test.lastScrape && shownScrape(ctx, test.lastScrape) };
}

function shownScrape(ctx: Context, scrape: Scrape): Scrape {
  return !maySeeSecrets(ctx) ? { ...scrape, ignored: null, samples: null, error: null } : scrape;
}
