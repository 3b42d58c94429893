import { auditRouter } from "./audit.ts";
import { authRouter } from "./auth.ts";
import { axesRouter } from "./axes.ts";
import { dvsRouter } from "./dvs.ts";
import { healthRouter } from "./health.ts";
import { jobsRouter } from "./jobs.ts";
import { retentionRouter } from "./retention.ts";
import { resultsRouter } from "./results.ts";
import { runsRouter } from "./runs.ts";
import { samplesRouter } from "./samples.ts";
import { scrapersRouter } from "./scrapers.ts";
import { tasksRouter } from "./tasks.ts";
import { testsRouter } from "./tests.ts";
import { router } from "./trpc.ts";

/** Every procedure of the hub; REST, site map and OpenAPI are generated from it. */
export const appRouter = router({
  dvs: dvsRouter,
  axes: axesRouter,
  tests: testsRouter,
  runs: runsRouter,
  samples: samplesRouter,
  results: resultsRouter,
  jobs: jobsRouter,
  retention: retentionRouter,
  scrapers: scrapersRouter,
  tasks: tasksRouter,
  health: healthRouter,
  auth: authRouter,
  audit: auditRouter,
});
export type AppRouter = typeof appRouter;
