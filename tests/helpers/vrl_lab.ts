import { afterEach } from "vitest";
import type { RunRecord } from "../../schemas/record.ts";
import { checkedBatches } from "../../scrapers/core/validate_batches.ts";
import type { Scraper } from "../../scrapers/scraper.ts";
import { VrlScraper } from "../../scrapers/vrl.ts";
import { allowance, scrapeContext, serve } from "./lab_server.ts";

export const PACKAGE = "calc_main_Release_Linux_AMD64_compiler";
export const JUNIT =
  `<testsuite name="s"><testcase name="a"/><testcase name="b"><failure/></testcase></testsuite>`;
const stops: (() => Promise<void>)[] = [];
afterEach(async () => {
  await Promise.all(stops.splice(0).map((stop) => stop()));
});

export function job(serial: unknown, more: Record<string, unknown> = {}) {
  return {
    serial,
    test: "calc",
    state: "done",
    os: "linux",
    machine: "m1",
    pool: "p",
    packageUrl: `file:///drop/${PACKAGE}/SW_1085_${PACKAGE}.tgz`,
    finishedAt: "2024-05-01T02:00:00+02:00",
    artifacts: [{ name: "result.xml", size: JUNIT.length }],
    ...more,
  };
}

export type Answer = (request: Request, url: URL) => Response | Promise<Response>;

/** Scrapes a lab that answers `/jobs` by the handler `jobs`, and other paths by `artifact`. */
export async function scrape(
  jobs: Answer,
  options: { artifact?: Answer; watermark?: string | null; stop?: number } = {},
) {
  const lab = serve((request, url) =>
    url.pathname === "/jobs"
      ? jobs(request, url)
      : (options.artifact ?? (() => new Response(JUNIT)))(request, url)
  );
  stops.push(lab.close);
  const { context, counts, controller } = scrapeContext(allowance({ labUrl: lab.url }));
  const runs: RunRecord[] = [];
  let watermark: string | null = options.watermark ?? null;
  let error: unknown;
  try {
    const test = { name: "calc", settings: {} };
    for await (const batch of checkedBatches(new VrlScraper() as Scraper, test, watermark, context)) {
      runs.push(...batch.runs);
      watermark = batch.watermark;
      if (runs.length >= (options.stop ?? Infinity)) controller.abort(new Error("stop"));
    }
  } catch (caught) {
    error = caught;
  }
  return { runs, watermark, error, counts, lab };
}
export function page(jobs: unknown[], nextCursor: string | null): Response {
  return Response.json({ jobs, nextCursor });
}
