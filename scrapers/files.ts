import { z } from "zod";
import { HubError, reasonOf } from "../errors.ts";
import { environment, type ResultRecord, type RunRecord } from "../schemas/record.ts";
import { type Allowance, checkPath, checkUrl } from "./allow.ts";
import { fetchIndex } from "./binarydrop/autoindex.ts";
import { nameFault } from "./binarydrop/names.ts";
import { isoTime, runFault } from "./checked.ts";
import type { ScrapeContext } from "./context.ts";
import { detectFormat, splitHead } from "./formats/mod.ts";
import { type ScrapeBatch, type ScrapedTest, Scraper } from "./scraper.ts";

const MAX_FILES = 100_000;
const MAX_FOLDERS = 100_000;
const MAX_FILE = 256 << 20;
const MAX_RESULTS = 200_000;

const settings = z.strictObject({
  url: z.string().max(2000).regex(/^(?:file:\/\/\/|https?:\/\/)/, "must be a file:, http: or https: URL")
    .meta({
      description: "Folder (file:///…, under SCRAPE_ROOTS) or HTTP index (in SCRAPE_HOSTS) to look under",
    }),
  pattern: z.string().max(500).refine(isPattern, "must be a regular expression with a named group changelist")
    .meta({
      description:
        "Regular expression over a file's path below the URL; its named groups changelist (needed), package, axis, and " +
        "any other become the run's changelist, package, axis and environment",
    }),
  depth: z.number().int().min(0).max(10).default(4).meta({ description: "Folders to go down" }),
  package: z.string().min(1).max(300).optional(),
  environment: environment.default({}),
});
type Settings = z.infer<typeof settings>;

function isPattern(source: string): boolean {
  try {
    new RegExp(source, "u");
    return source.includes("(?<changelist>");
  } catch {
    return false;
  }
}

interface Found {
  /** Below the URL. */
  path: string;
  /** Modification time in ms, or 0 where the index does not tell. */
  modified: number;
}

/**
 * Reads result files under a folder or an HTTP index, a run a file. The watermark is the newest modification time of a
 * folder's files; an index tells no times one can trust, so its files are read each time, and stored once.
 */
export class FilesScraper extends Scraper<typeof settings> {
  readonly tag = "files";
  readonly summary = "Result files under a folder or an HTTP index, changelist from their path";
  readonly settings = settings;

  source({ settings }: ScrapedTest<Settings>): string {
    return `files:${settings.url}`;
  }

  override async check({ url }: Settings, allow: Allowance): Promise<void> {
    if (url.startsWith("file:")) await checkPath(allow, folderOf(url));
    else checkUrl(allow, url);
  }

  async *scrape(
    { settings }: ScrapedTest<Settings>,
    watermark: string | null,
    context: ScrapeContext,
  ): AsyncGenerator<ScrapeBatch> {
    await this.check(settings, context.allow);
    const pattern = new RegExp(settings.pattern, "u");
    const after = Number(watermark ?? 0) || 0;
    const files: Found[] = [];
    for await (
      const file of settings.url.startsWith("file:")
        ? walkFolder(settings, context)
        : walkIndex(settings, context)
    ) {
      context.seen();
      if (!pattern.test(file.path)) context.ignore("does not match the pattern", file.path);
      else if (file.modified === 0 || file.modified >= after) files.push(file);
      if (files.length > MAX_FILES) {
        throw new HubError(
          "BAD_GATEWAY",
          `There are more than ${MAX_FILES} new files under ${settings.url}.`,
        );
      }
    }
    files.sort((a, b) => a.modified - b.modified || (a.path < b.path ? -1 : 1));
    for (const file of files) {
      context.signal.throwIfAborted();
      const run = await readFile(settings, pattern, file, context);
      if (run !== undefined) yield { runs: [run], watermark: String(Math.max(after, file.modified)) };
    }
  }
}

function folderOf(url: string): string {
  return decodeURIComponent(new URL(url).pathname).replace(/(.)\/+$/, "$1");
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
        if (next.depth < settings.depth) push(waiting, { path, depth: next.depth + 1 });
        else context.ignore("lies deeper than depth", path);
      } else if (entry.isFile) {
        const info = await Deno.stat(`${root}/${path}`).catch(() => undefined);
        if (info === undefined) context.ignore("is gone again, or has a name that is not UTF-8", path);
        else yield { path, modified: info.mtime?.getTime() ?? 0 };
      }
    }
  }
}

/** The entries of a folder; one below the root that cannot be read is ignored with the reason. */
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

function push(waiting: { path: string; depth: number }[], folder: { path: string; depth: number }): void {
  if (waiting.length >= MAX_FOLDERS) {
    throw new HubError("BAD_GATEWAY", `There are more than ${MAX_FOLDERS} folders to look into.`);
  }
  waiting.push(folder);
}

async function* walkIndex(settings: Settings, context: ScrapeContext): AsyncGenerator<Found> {
  const root = settings.url.replace(/\/*$/, "/");
  const waiting = [{ path: "", depth: 0 }];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    context.signal.throwIfAborted();
    const page = await fetchIndex(context.fetch, root + next.path, context.signal);
    for (const { name, isFolder } of page.entries) {
      const fault = nameFault(name);
      if (fault !== undefined) {
        context.ignore(fault, next.path + name);
        continue;
      }
      const path = `${next.path}${encodeURIComponent(name)}`;
      if (!isFolder) yield { path: decodeURIComponent(path), modified: 0 };
      else if (next.depth < settings.depth) push(waiting, { path: `${path}/`, depth: next.depth + 1 });
      else context.ignore("lies deeper than depth", decodeURIComponent(path));
    }
  }
}

async function readFile(
  settings: Settings,
  pattern: RegExp,
  file: Found,
  context: ScrapeContext,
): Promise<RunRecord | undefined> {
  const { changelist, package: name, axis, ...rest } = pattern.exec(file.path)?.groups ?? {};
  const number = Number(changelist);
  if (!Number.isInteger(number) || number < 1 || number > 2_147_483_647) {
    context.ignore("has no changelist in its path", file.path);
    return undefined;
  }
  let close: (() => Promise<unknown>) | undefined;
  try {
    const { head, all } = await splitHead(await openFile(settings, file.path, context));
    close = () => all.return();
    const results: ResultRecord[] = [];
    let startedAt: string | undefined;
    for await (const item of detectFormat(file.path, head).parse(all)) {
      if (item.kind === "rejected") {
        context.ignore(`holds a record that ${item.reason}`, `${file.path} ${item.place}`);
      } else if (item.kind === "result") results.push(item.record);
      else if (item.key === "startedAt") startedAt ??= isoTime(item.value);
      if (results.length > MAX_RESULTS) {
        throw new HubError("BAD_GATEWAY", `has more than ${MAX_RESULTS} results`);
      }
    }
    const groups = Object.entries(rest).filter((pair): pair is [string, string] =>
      pair[1] !== undefined && pair[1] !== ""
    );
    const run: RunRecord = {
      externalId: file.path,
      attempt: 1,
      axis: axis ?? "main",
      changelist: number,
      ...(name ?? settings.package ? { package: name ?? settings.package } : {}),
      environment: { ...settings.environment, ...Object.fromEntries(groups) },
      status: "done",
      ...(startedAt === undefined ? {} : { startedAt }),
      url: `${settings.url.replace(/\/*$/, "")}/${file.path.split("/").map(encodeURIComponent).join("/")}`,
      results,
    };
    const fault = runFault(run);
    if (fault === undefined) return run;
    context.ignore(fault, file.path);
    return undefined;
  } catch (error) {
    context.signal.throwIfAborted();
    context.ignore("cannot be read", `${file.path}: ${reasonOf(error)}`);
    return undefined;
  } finally {
    await close?.();
  }
}

async function openFile(
  settings: Settings,
  path: string,
  context: ScrapeContext,
): Promise<AsyncIterable<Uint8Array>> {
  if (settings.url.startsWith("file:")) {
    const real = await checkPath(context.allow, `${folderOf(settings.url)}/${path}`);
    if ((await Deno.stat(real)).size > MAX_FILE) {
      throw new HubError("PAYLOAD_TOO_LARGE", `is larger than ${MAX_FILE} bytes`);
    }
    return (await Deno.open(real)).readable;
  }
  const url = `${settings.url.replace(/\/*$/, "/")}${path.split("/").map(encodeURIComponent).join("/")}`;
  const response = await context.fetch(url, { signal: context.signal, maxBytes: MAX_FILE });
  if (!response.ok || response.body === null) {
    await response.body?.cancel();
    throw new HubError("BAD_GATEWAY", `answered ${response.status}`);
  }
  return response.body;
}
