import { HubError } from "../../errors.ts";
import type { BoundedFetch } from "../http/bounded_fetch.ts";
import { linksIn } from "./links.ts";
import { nameFault, parseBuildFile, parseBuildFolder } from "./names.ts";
import {
  BATCH,
  type BuildEntry,
  type DropSource,
  type Known,
  type ListingPart,
  type ReadOptions,
  type RootEntry,
  type Unparsed,
} from "./source.ts";

export interface IndexEntry {
  name: string;
  isFolder: boolean;
  /** Bytes; null when the page rounds or omits the size. */
  size: number | null;
  /** Modification time in ms, listed to the minute and read as UTC; null when the page omits it. */
  modified: number | null;
}

/** A parsed directory index, and whether its page is complete. */
export interface IndexPage {
  entries: IndexEntry[];
  unparsed: Unparsed[];
  isWhole: boolean;
}

const ENTITIES: Record<string, string> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };

/**
 * Parses a directory index of nginx, Apache or Python's http.server: every link to an entry directly below `base`. Names
 * are taken from the links, since pages cut long names in the text.
 */
export function parseIndex(html: string, base: string): IndexPage {
  const from = new URL(base.endsWith("/") ? base : `${base}/`);
  const entries = new Map<string, IndexEntry>();
  const unparsed: Unparsed[] = [];
  for (const { href: written, after } of linksIn(html)) {
    const href = decodeEntities(written);
    if (href === "" || href.startsWith("?") || href.startsWith("#") || !URL.canParse(href, from)) continue;
    const url = new URL(href, from);
    if (url.origin !== from.origin || url.search !== "" || !url.pathname.startsWith(from.pathname)) continue;
    const rest = url.pathname.slice(from.pathname.length);
    const isFolder = rest.endsWith("/");
    const raw = isFolder ? rest.slice(0, -1) : rest;
    if (raw === "" || raw.includes("/")) continue;
    const name = decodeName(raw);
    if (name === undefined) {
      unparsed.push({ place: raw.slice(0, 300), reason: "is not valid UTF-8" });
      continue;
    }
    const size = isFolder ? undefined : /<\/a>\s+\d{2}-\w{3}-\d{4} \d{2}:\d{2}\s+(\d+)\s/.exec(after)?.[1];
    entries.set(name, {
      name,
      isFolder,
      size: size === undefined ? null : Number(size),
      modified: timeOf(after),
    });
  }
  return { entries: [...entries.values()], unparsed, isWhole: /<\/(?:html|body)>\s*$/i.test(html) };
}

/** nginx writes 24-Nov-2026 01:53, Apache 2026-11-24 01:53. */
function timeOf(text: string): number | null {
  const found = /\b(?:(\d{2})-([A-Z][a-z]{2})-(\d{4})|(\d{4})-(\d{2})-(\d{2})) (\d{2}:\d{2})\b/.exec(text);
  if (found === null) return null;
  const [, day, month, year, ...iso] = found;
  const time = day === undefined
    ? Date.parse(`${iso.slice(0, 3).join("-")}T${iso[3]}Z`)
    : Date.parse(`${day} ${month} ${year} ${iso[3]} UTC`);
  return Number.isNaN(time) ? null : time;
}

function decodeEntities(text: string): string {
  return text.replace(/&(?:#(\d+)|#x([\da-f]+)|(\w+));/gi, (whole, decimal, hex, name) => {
    const code = decimal !== undefined
      ? Number(decimal)
      : hex !== undefined
      ? Number.parseInt(hex, 16)
      : undefined;
    if (code !== undefined) return code <= 0x10ffff ? String.fromCodePoint(code) : whole;
    return ENTITIES[String(name).toLowerCase()] ?? whole;
  });
}

function decodeName(raw: string): string | undefined {
  try {
    return decodeURIComponent(raw);
  } catch {
    return undefined;
  }
}

/** Fetches a complete directory index. @throws HubError NOT_FOUND; BAD_GATEWAY when it is unavailable, no index, or truncated */
export async function fetchIndex(fetch: BoundedFetch, url: string, signal: AbortSignal): Promise<IndexPage> {
  const response = await fetch(url, { signal });
  if (response.status === 404) {
    await response.body?.cancel();
    throw new HubError("NOT_FOUND", `${url} answered 404.`);
  }
  const html = await response.text();
  if (!response.ok) throw new HubError("BAD_GATEWAY", `${url} answered ${response.status}.`);
  if (!/<(?:html|!doctype html|title|pre|table)/i.test(html.slice(0, 2000))) {
    throw new HubError("BAD_GATEWAY", `${url} is not a directory index.`);
  }
  const page = parseIndex(html, response.url || url);
  if (!page.isWhole) {
    throw new HubError("BAD_GATEWAY", `The directory index ${url} is truncated: it does not end in </html>.`);
  }
  return page;
}

/** A drop root that a web server lists as directory indexes. */
export class AutoindexSource implements DropSource {
  readonly kind = "autoindex";
  readonly concurrency = 8;
  readonly #base: string;

  constructor(readonly root: string, private readonly fetch: BoundedFetch) {
    this.#base = root.replace(/^index\+/, "");
  }

  async *listPackages({ signal }: ReadOptions): AsyncGenerator<RootEntry> {
    const page = await fetchIndex(this.fetch, `${this.#base}/`, signal);
    for (const unparsed of page.unparsed) yield { kind: "stray", unparsed };
    for (const { name, isFolder } of page.entries) {
      const fault = nameFault(name) ?? (isFolder ? undefined : "is a file among the package folders");
      if (fault === undefined) yield { kind: "package", name };
      else yield { kind: "stray", unparsed: { place: name.slice(0, 300), reason: fault } };
    }
  }

  async *readPackage(
    name: string,
    _known: Known | undefined,
    { signal, pattern }: ReadOptions,
  ): AsyncGenerator<ListingPart> {
    const page = await fetchIndex(this.fetch, `${this.#base}/${encodeURIComponent(name)}/`, signal);
    const unparsed = page.unparsed.map((one) => ({ ...one, place: `${name}/${one.place}` }));
    const builds: BuildEntry[] = [];
    for (const entry of page.entries) {
      const parsed = entry.isFolder
        ? parseBuildFolder(entry.name)
        : parseBuildFile(entry.name, name, pattern);
      if ("ignored" in parsed) {
        unparsed.push({ place: `${name}/${entry.name.slice(0, 300)}`, reason: parsed.ignored });
      } else {builds.push({
          changelist: parsed.changelist,
          revision: parsed.revision,
          file: entry.name,
          size: entry.size,
        });}
    }
    for (let at = 0; at < Math.max(builds.length, unparsed.length); at += BATCH) {
      yield {
        kind: "builds",
        builds: builds.slice(at, at + BATCH),
        unparsed: unparsed.slice(at, at + BATCH),
      };
    }
    yield { kind: "end", mark: null };
  }
}
