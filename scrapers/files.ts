import { z } from "zod";
import { HubError, reasonOf } from "../errors.ts";
import { compilePattern, type Pattern } from "../patterns.ts";
import { environment, type RunRecord } from "../schemas/record.ts";
import { checkPath, checkUrl, type ReadPolicy } from "./http/read_policy.ts";
import { fetchIndex } from "./binarydrop/autoindex.ts";
import { nameFault } from "./binarydrop/names.ts";
import type { ScrapeContext } from "./core/context.ts";
import { MAX_ARTIFACT, readArtifact } from "../formats/artifact.ts";
import { patternSetting } from "./core/pattern_setting.ts";
import { type ScrapeBatch, type ScrapedTest, Scraper } from "./scraper.ts";

const MAX_FILES = 100_000;
const MAX_FOLDERS = 100_000;

const settings = z.strictObject({
  url: z.string().max(2000).regex(/^(?:file:\/\/\/|https?:\/\/)/, "must be a file:, http: or https: URL")
    .meta({
      description: "Folder (file:///…, under SCRAPE_ROOTS) or HTTP index (in SCRAPE_HOSTS) to search",
    }),
  pattern: patternSetting(["changelist", "label"]).meta({
    description:
      "Regular expression over a file's path below the URL. Its named groups changelist or label (a commit's hash), package and axis " +
      "become the run's changelist, package and axis; any other group becomes an environment key",
  }),
  depth: z.number().int().min(0).max(10).default(4).meta({
    description: "Levels of folders to descend into",
  }),
  package: z.string().min(1).max(300).optional(),
  environment: environment.default({}),
  trustTimes: z.boolean().optional().meta({
    description:
      "Whether to skip files older than the newest file read before. Default: true for a folder, false for an HTTP index",
  }),
});
type Settings = z.infer<typeof settings>;

interface Found {
  /** Path below the URL. */
  path: string;
  /** Modification time in ms, or 0 when the index does not list it. */
  modified: number;
}

/** Some file systems record times in whole seconds. */
const FOLDER_OVERLAP_MS = 1000;
/** An index lists times to the minute, possibly in a time zone with daylight saving time. */
const INDEX_OVERLAP_MS = 2 * 3_600_000;

/**
 * Reads result files under a folder or an HTTP index, one run per file. The watermark is the newest time of the files read; for
 * a folder that is the later of mtime and ctime. A file that temporarily cannot be read keeps the watermark at its own time, so
 * that the next scrape retries it. Files of an index are read each time unless `trustTimes` is set, since a copied file may
 * keep an old time; unchanged runs are not written again.
 */
export class FilesScraper extends Scraper<typeof settings> {
  readonly tag = "files";
  readonly summary = "Result files under a folder or an HTTP index, changelist from their path";
  readonly settings = settings;

  source({ settings }: ScrapedTest<Settings>): string {
    return `files:${settings.url}`;
  }

  override async check({ url }: Settings, allow: ReadPolicy): Promise<void> {
    if (url.startsWith("file:")) await checkPath(allow, folderOf(url));
    else checkUrl(allow, url);
  }

  async *scrape(
    { settings }: ScrapedTest<Settings>,
    watermark: string | null,
    context: ScrapeContext,
  ): AsyncGenerator<ScrapeBatch> {
    await this.check(settings, context.allow);
    const pattern = compilePattern(settings.pattern);
    const after = Number(watermark ?? 0) || 0;
    const isFolder = settings.url.startsWith("file:");
    const from = !(settings.trustTimes ?? isFolder)
      ? 0
      : isFolder
      ? after - FOLDER_OVERLAP_MS
      : after - INDEX_OVERLAP_MS;
    const files: Found[] = [];
    for await (
      const file of isFolder ? walkFolder(settings, context) : walkIndex(settings, context)
    ) {
      context.seen();
      if (!pattern.test(file.path)) context.ignore("does not match the pattern", file.path);
      else if (file.modified === 0 || file.modified >= from) files.push(file);
      if (files.length > MAX_FILES) {
        throw new HubError(
          "BAD_GATEWAY",
          `There are more than ${MAX_FILES} new files under ${settings.url}; narrow the setting \`url\` or lower \`depth\`.`,
        );
      }
    }
    files.sort((a, b) => a.modified - b.modified || (a.path < b.path ? -1 : 1));
    let earliestFailed = Infinity;
    for (const file of files) {
      context.signal.throwIfAborted();
      const read = await readFile(settings, pattern, file, context);
      if (read === "later") earliestFailed = Math.min(earliestFailed, file.modified);
      else if (read !== undefined) {
        yield { runs: [read], watermark: String(Math.max(after, Math.min(file.modified, earliestFailed))) };
      }
    }
  }
}

function folderOf(url: string): string {
  return decodeURIComponent(new URL(url).pathname).replace(/(?<=[^/])\/+$/, "");
}

async function* walkFolder(settings: Settings, context: ScrapeContext): AsyncGenerator<Found> {
  const root = await checkPath(context.allow, folderOf(settings.url));
  const waiting = [{ path: "", depth: 0 }];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    context.signal.throwIfAborted();
    for await (const entry of listFolder(root, next.path, context)) {
      const path = next.path === "" ? entry.name : `${next.path}/${entry.name}`;
      if (entry.isSymlink) context.ignore("is a link", path);
      else if (entry.isDirectory) {
        if (next.depth < settings.depth) pushFolder(waiting, { path, depth: next.depth + 1 });
        else context.ignore("is deeper than depth", path);
      } else if (entry.isFile) {
        const info = await Deno.stat(`${root}/${path}`).catch(() => undefined);
        if (info === undefined) context.ignore("has disappeared, or its name is not UTF-8", path);
        else {
          // A file that was moved or copied in may keep an old mtime; its ctime is always new.
          yield { path, modified: Math.max(info.mtime?.getTime() ?? 0, info.ctime?.getTime() ?? 0) };
        }
      }
    }
  }
}

/** Yields the entries of a folder. An unreadable folder below the root is ignored with the reason. */
async function* listFolder(
  root: string,
  path: string,
  context: ScrapeContext,
): AsyncGenerator<Deno.DirEntry> {
  try {
    yield* Deno.readDir(`${root}/${path}`);
  } catch (error) {
    if (path === "") throw new HubError("BAD_GATEWAY", `${root} cannot be read: ${reasonOf(error)}`);
    context.ignore("is a folder that cannot be read", `${path}: ${reasonOf(error)}`);
  }
}

function pushFolder(
  waiting: { path: string; depth: number }[],
  folder: { path: string; depth: number },
): void {
  if (waiting.length >= MAX_FOLDERS) {
    throw new HubError(
      "BAD_GATEWAY",
      `There are more than ${MAX_FOLDERS} folders to search; narrow the setting \`url\` or lower \`depth\`.`,
    );
  }
  waiting.push(folder);
}

async function* walkIndex(settings: Settings, context: ScrapeContext): AsyncGenerator<Found> {
  const root = settings.url.replace(/(?<!\/)\/*$/, "/");
  const waiting = [{ path: "", depth: 0 }];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    context.signal.throwIfAborted();
    const page = await fetchIndex(context.fetch, root + next.path, context.signal);
    for (const { name, isFolder, modified } of page.entries) {
      const fault = nameFault(name);
      if (fault !== undefined) {
        context.ignore(fault, next.path + name);
        continue;
      }
      const path = `${next.path}${encodeURIComponent(name)}`;
      if (!isFolder) yield { path: decodeURIComponent(path), modified: modified ?? 0 };
      else if (next.depth < settings.depth) pushFolder(waiting, { path: `${path}/`, depth: next.depth + 1 });
      else context.ignore("is deeper than depth", decodeURIComponent(path));
    }
  }
}

/** Whether an error may be temporary, rather than a fault of the file itself. */
function mayPass(error: unknown): boolean {
  if (error instanceof HubError) return ["BAD_GATEWAY", "SERVICE_UNAVAILABLE"].includes(error.code);
  return !(error instanceof Deno.errors.NotFound);
}

/** Reads the run in a file. Returns undefined for an ignored file, and `later` for one to retry in the next scrape. */
async function readFile(
  settings: Settings,
  pattern: Pattern,
  file: Found,
  context: ScrapeContext,
): Promise<RunRecord | "later" | undefined> {
  const { changelist, label, package: name, axis, ...rest } = pattern.groups(file.path) ?? {};
  const number = Number(changelist);
  const isNumber = Number.isInteger(number) && number >= 1 && number <= 2_147_483_647;
  if (!isNumber && !label) {
    context.ignore("has no changelist in its path", file.path);
    return undefined;
  }
  try {
    const content = await openFile(settings, file.path, context);
    const { results, rejected, faults, startedAt } = await readArtifact(file.path, content);
    for (const one of rejected) context.ignore(one.reason, one.place);
    for (const one of faults) {
      context.ignore("contains a file that cannot be read", `${one.file}: ${one.reason}`);
    }
    const groups = Object.entries(rest).filter((pair): pair is [string, string] =>
      pair[1] !== undefined && pair[1] !== ""
    );
    return {
      externalId: file.path,
      attempt: 1,
      axis: axis ?? "main",
      changelist: isNumber ? number : `label:${label}`,
      ...(name ?? settings.package ? { package: name ?? settings.package } : {}),
      environment: { ...settings.environment, ...Object.fromEntries(groups) },
      status: "done",
      ...(startedAt === undefined ? {} : { startedAt }),
      url: `${settings.url.replace(/(?<!\/)\/+$/, "")}/${
        file.path.split("/").map(encodeURIComponent).join("/")
      }`,
      results,
    };
  } catch (error) {
    context.signal.throwIfAborted();
    const isLater = mayPass(error);
    const reason = isLater ? "cannot be read now; the next scrape retries it" : "cannot be read";
    context.ignore(reason, `${file.path}: ${reasonOf(error)}`);
    return isLater ? "later" : undefined;
  }
}

async function openFile(
  settings: Settings,
  path: string,
  context: ScrapeContext,
): Promise<AsyncIterable<Uint8Array>> {
  if (settings.url.startsWith("file:")) {
    const real = await checkPath(context.allow, `${folderOf(settings.url)}/${path}`);
    if ((await Deno.stat(real)).size > MAX_ARTIFACT) {
      throw new HubError("PAYLOAD_TOO_LARGE", `is larger than the limit of ${MAX_ARTIFACT} bytes`);
    }
    return (await Deno.open(real)).readable;
  }
  const url = `${settings.url.replace(/(?<!\/)\/*$/, "/")}${
    path.split("/").map(encodeURIComponent).join("/")
  }`;
  const response = await context.fetch(url, { signal: context.signal, maxBytes: MAX_ARTIFACT });
  if (!response.ok || response.body === null) {
    await response.body?.cancel();
    throw new HubError(response.status < 500 ? "NOT_FOUND" : "BAD_GATEWAY", `answered ${response.status}`);
  }
  return response.body;
}
