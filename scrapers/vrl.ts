import { z } from "zod";
import { HubError, reasonOf } from "../errors.ts";
import { MAX_EXCERPT, type ResultRecord, type RunRecord } from "../schemas/record.ts";
import type { ReadPolicy } from "./http/read_policy.ts";
import { parseLocation } from "./binarydrop/names.ts";
import { isoTime } from "./core/records.ts";
import type { ScrapeContext } from "./core/context.ts";
import { MAX_ARTIFACT, MAX_RESULTS, readArtifact, resultFiles } from "../formats/artifact.ts";
import { parseLabPage, reasonLine, type ScrapedJob, scrapedJob } from "./http/lab_contract.ts";
import { type ScrapeBatch, type ScrapedTest, Scraper } from "./scraper.ts";

const settings = z.strictObject({
  test: z.string().min(1).max(200).optional().meta({
    description: "The test's name in the lab (default: its name in the hub)",
  }),
});
type Settings = z.infer<typeof settings>;

const PAGE = 100;
const MAX_PAGES = 10_000;
/** Results kept in memory before they are yielded. */
const BATCH_RESULTS = 20_000;

/** Reads a test's jobs from the lab, and their results from the jobs' artifacts (the lab's contract: docs/reference/lab-contract.md). */
export class VrlScraper extends Scraper<typeof settings> {
  readonly tag = "vrl";
  readonly summary = "Jobs of the lab (VRL_URL) and the result files they leave";
  readonly settings = settings;

  source(_test: ScrapedTest<Settings>, allow: ReadPolicy): string {
    return `vrl:${allow.labUrl ?? ""}`;
  }

  async *scrape(
    test: ScrapedTest<Settings>,
    watermark: string | null,
    context: ScrapeContext,
  ): AsyncGenerator<ScrapeBatch> {
    const { labUrl } = context.allow;
    if (labUrl === undefined) throw new HubError("SERVICE_UNAVAILABLE", "No lab is configured; set VRL_URL.");
    let cursor = watermark === "" ? null : watermark;
    let before = "";
    for (let count = 0; count < MAX_PAGES; count++) {
      const query = new URLSearchParams({ test: test.settings.test ?? test.name, limit: String(PAGE) });
      if (cursor !== null) query.set("updatedAfter", cursor);
      const { jobs, nextCursor, fingerprint } = await readPage(`${labUrl}/jobs?${query}`, context);
      if (jobs.length === 0) return;
      if (nextCursor === cursor && cursor !== null || fingerprint === before) {
        throw new HubError("BAD_GATEWAY", `The lab returned the page after ${JSON.stringify(cursor)} twice.`);
      }
      for await (const runs of toRuns(labUrl, jobs, context)) yield { runs, watermark: cursor ?? "" };
      if (nextCursor === null) return;
      yield { runs: [], watermark: nextCursor };
      cursor = nextCursor;
      before = fingerprint;
    }
    throw new HubError("BAD_GATEWAY", `The lab has more than ${MAX_PAGES} pages, the limit of one scrape.`);
  }
}

async function readPage(
  url: string,
  context: ScrapeContext,
): Promise<{ jobs: unknown[]; nextCursor: string | null; fingerprint: string }> {
  const response = await context.fetch(url, { signal: context.signal, maxBytes: 16 << 20 });
  const body = await response.text();
  if (!response.ok) throw new HubError("BAD_GATEWAY", `The lab answered ${response.status} to ${url}.`);
  const { jobs, nextCursor } = await parseLabPage(body, url);
  // The same jobs under a new cursor are a repeat too.
  const fingerprint = nextCursor === null ? body : body.replaceAll(JSON.stringify(nextCursor), "");
  return { jobs, nextCursor, fingerprint };
}

async function* toRuns(labUrl: string, jobs: unknown[], context: ScrapeContext): AsyncGenerator<RunRecord[]> {
  let runs: RunRecord[] = [];
  let results = 0;
  for (const one of jobs) {
    context.signal.throwIfAborted();
    context.seen();
    const parsed = scrapedJob.safeParse(one);
    const { serial } = (one ?? {}) as { serial?: unknown };
    const place = `job ${typeof serial === "number" || typeof serial === "string" ? serial : typeof serial}`;
    if (!parsed.success) {
      const [issue] = parsed.error.issues;
      context.ignore(`is not a job: ${issue?.path.join(".")}: ${issue?.message}`, place);
      continue;
    }
    const run = await toRun(labUrl, parsed.data, context);
    if (typeof run === "string") {
      context.ignore(run, place);
      continue;
    }
    runs.push(run);
    results += run.results.length;
    if (results >= BATCH_RESULTS) {
      yield runs;
      runs = [];
      results = 0;
    }
  }
  if (runs.length > 0) yield runs;
}

/** The job's run, or the reason why it has none. */
async function toRun(labUrl: string, job: ScrapedJob, context: ScrapeContext): Promise<RunRecord | string> {
  if (job.state === "queued" || job.state === "running") return "has not finished yet";
  if (job.state === "cancelled") return "was cancelled";
  const build = parseLocation(job.packageUrl);
  if (build === undefined) return "has a package URL that names no changelist";
  const url = `${labUrl}/jobs/${job.serial}`;
  const environment: Record<string, string> = {};
  for (const key of ["os", "machine", "pool"] as const) {
    const value = job[key]?.replace(/\p{Cc}/gu, " ").trim().slice(0, 256);
    if (value) environment[key] = value;
  }
  const run: RunRecord = {
    externalId: String(job.serial),
    attempt: 1,
    axis: "main",
    changelist: build.changelist,
    package: build.package,
    environment,
    status: "done",
    url,
    serial: job.serial,
    startedAt: isoTime(job.startedAt),
    finishedAt: isoTime(job.finishedAt),
    results: [],
  };
  const failed = (what: string): RunRecord => {
    const words = reasonLine(job.reason);
    return {
      ...run,
      status: "lab_error",
      reason: `${what}${words ? `; the lab: ${words}` : ""}`.slice(0, MAX_EXCERPT),
    };
  };
  if (job.state === "lost") return failed("the lab lost the job");
  const read = await readArtifacts(url, job, context);
  if (read.files > 0) return { ...run, results: read.results };
  const what = job.state === "failed"
    ? "the job failed and produced no result file"
    : "the job produced no result file";
  return failed(read.fault ?? what);
}

interface Artifact {
  name: string;
  size: number;
}

interface FoundArtifacts {
  results: ResultRecord[];
  /** Number of artifacts read. */
  files: number;
  /** Why an artifact named like a result file could not be read. */
  fault: string | undefined;
}

/** Reads the results in a job's result files, or in its logs if no result file can be read. */
async function readArtifacts(url: string, job: ScrapedJob, context: ScrapeContext): Promise<FoundArtifacts> {
  const { named, logs } = resultFiles(job.artifacts);
  const found: FoundArtifacts = { results: [], files: 0, fault: undefined };
  for (const artifact of named) await addArtifact(found, artifact, { url, job, context });
  if (found.files > 0) return found;
  for (const artifact of logs) await addArtifact(found, artifact, { url, job, context, isLog: true });
  return found;
}

async function addArtifact(
  found: FoundArtifacts,
  { name, size }: Artifact,
  { url, job, context, isLog = false }: {
    url: string;
    job: ScrapedJob;
    context: ScrapeContext;
    isLog?: boolean;
  },
): Promise<void> {
  const place = `job ${job.serial} ${name}`;
  if (size > MAX_ARTIFACT) {
    found.fault = `${name} is larger than ${MAX_ARTIFACT} bytes`;
    context.ignore(`is an artifact larger than ${MAX_ARTIFACT} bytes`, place);
    return;
  }
  // A temporary fault (no response, 5xx, a broken connection) ends the scrape before the watermark moves;
  // a permanent fault (missing, too large, unreadable) is recorded as the job's.
  const response = await context.fetch(`${url}/artifacts/${encodeURIComponent(name)}`, {
    signal: context.signal,
    maxBytes: MAX_ARTIFACT,
  });
  if (response.status >= 500 || response.status === 429) {
    await response.body?.cancel();
    throw new HubError("BAD_GATEWAY", `The lab answered ${response.status} to ${place}.`);
  }
  try {
    if (!response.ok || response.body === null) {
      await response.body?.cancel();
      throw new HubError("BAD_GATEWAY", `the lab answered ${response.status} to the artifact ${name}`);
    }
    const { results, rejected, faults } = await readArtifact(name, response.body);
    if (found.results.length + results.length > MAX_RESULTS) {
      throw new HubError("PAYLOAD_TOO_LARGE", `has more than ${MAX_RESULTS} results`);
    }
    for (const one of rejected) context.ignore(one.reason, `job ${job.serial} ${one.place}`);
    for (const { file, reason } of faults) {
      context.ignore("is a result file that cannot be read", `job ${job.serial} ${file}: ${reason}`);
    }
    for (const one of results) found.results.push(one);
    found.files++;
  } catch (error) {
    context.signal.throwIfAborted();
    if (!(error instanceof HubError)) {
      throw new HubError("BAD_GATEWAY", `The transfer of ${place} from the lab failed: ${reasonOf(error)}`, {
        cause: error,
      });
    }
    if (error.code === "UNSUPPORTED_MEDIA_TYPE") {
      context.ignore("is an artifact of an unknown format", place);
      if (!isLog) found.fault ??= `the job produced no result file of a known format: ${reasonOf(error)}`;
      return;
    }
    found.fault = `${name} cannot be read: ${reasonOf(error)}`;
    context.ignore("is a result file that cannot be read", `${place}: ${reasonOf(error)}`);
  }
}
