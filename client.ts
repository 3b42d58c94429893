import { createTRPCClient, httpBatchLink } from "@trpc/client";
import type { AppRouter } from "./routers/mod.ts";

export type { AppRouter };
export type { AuditEntry } from "./schemas/audit.ts";
export type { Me, TokenShape } from "./schemas/auth.ts";
export type { Build } from "./schemas/build.ts";
export type { CompareItem, CulpritItem } from "./schemas/answer.ts";
export type { Job, JobBatch, JobDetail, JobInput } from "./schemas/job.ts";
export type { Outcome } from "./schemas/outcome.ts";
export type { DropPackage, PackageDetail } from "./schemas/package.ts";
export type { ResultRecord } from "./schemas/record.ts";
export type { PushAnswer, Result, ResultInRun, SummaryItem } from "./schemas/result.ts";
export type { Run } from "./schemas/run.ts";
export type { Scan } from "./schemas/scan.ts";
export type { Scrape } from "./schemas/scrape.ts";
export type { TestShape } from "./schemas/test.ts";

export interface ClientOptions {
  /** Required for writes, and for reads that only signed-in users see; the hub's own pages use their session instead. */
  token?: string;
  fetch?: typeof fetch;
}

/** Creates a fully typed client: `createHubClient("http://127.0.0.1:8000").dvs.packages.query({})`. */
export function createHubClient(url: string, { token, fetch }: ClientOptions = {}) {
  return createTRPCClient<AppRouter>({
    links: [httpBatchLink({
      url: `${url.replace(/(?<!\/)\/+$/, "")}/api/trpc`,
      maxURLLength: 4000,
      maxItems: 20,
      headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
      ...(fetch === undefined ? {} : { fetch }),
    })],
  });
}
