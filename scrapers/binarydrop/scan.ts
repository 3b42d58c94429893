import { HubError, reasonOf } from "../../errors.ts";
import type { BoundedFetch } from "../context.ts";
import { AutoindexSource } from "./autoindex.ts";
import { BucketSource, parseBucketPage } from "./bucket.ts";
import { DirectorySource } from "./directory.ts";
import { type PackageName, parsePackage } from "./names.ts";
import type { BuildEntry, DropSource, Known, Unparsed } from "./source.ts";

/** What a scan finds, as it finds it. */
export type ScanEvent =
  /** A package that is not read for builds. */
  | { kind: "skipped"; package: PackageName }
  | { kind: "unchanged"; package: PackageName }
  /** Some of its builds; `isFirst` begins a package, and an `end` or `unread` follows. */
  | { kind: "builds"; package: PackageName; builds: BuildEntry[]; unparsed: Unparsed[]; isFirst: boolean }
  /** Read to its end. */
  | { kind: "end"; package: PackageName; mark: string | null }
  /** Not read, or not to its end: nothing may be concluded from what is missing. */
  | { kind: "unread"; package: PackageName; reason: string }
  | { kind: "stray"; unparsed: Unparsed };

export interface ScanOptions {
  signal: AbortSignal;
  isScanned(name: string): boolean;
  /** What the last reading left; undefined where the package must be read in any case. */
  known(name: string): Known | undefined;
  pattern?: RegExp | undefined;
}

/**
 * Reads a root. A package that fails is told as `unread` and the rest goes on.
 * @throws HubError where the root itself cannot be listed to its end: then no package may be taken for gone
 */
export async function* scanDrop(source: DropSource, options: ScanOptions): AsyncGenerator<ScanEvent> {
  const { signal } = options;
  let window: Promise<ScanEvent[]>[] = [];
  for await (const entry of source.listPackages(options)) {
    signal.throwIfAborted();
    if (entry.kind === "stray") {
      yield entry;
      continue;
    }
    const name = parsePackage(entry.name);
    if (!options.isScanned(entry.name)) yield { kind: "skipped", package: name };
    else if (source.concurrency === 1) yield* readOne(source, name, options);
    else {
      window.push(Array.fromAsync(readOne(source, name, options)));
      if (window.length < source.concurrency) continue;
      for (const events of await Promise.all(window)) yield* events;
      window = [];
    }
  }
  for (const events of await Promise.all(window)) yield* events;
}

async function* readOne(
  source: DropSource,
  name: PackageName,
  options: ScanOptions,
): AsyncGenerator<ScanEvent> {
  let isFirst = true;
  try {
    for await (const part of source.readPackage(name.name, options.known(name.name), options)) {
      if (part.kind === "builds") {
        yield { kind: "builds", package: name, builds: part.builds, unparsed: part.unparsed, isFirst };
        isFirst = false;
      } else if (part.kind === "end") yield { kind: "end", package: name, mark: part.mark };
      else yield { kind: "unchanged", package: name };
    }
  } catch (error) {
    options.signal.throwIfAborted();
    yield { kind: "unread", package: name, reason: reasonOf(error) };
  }
}

/**
 * The source that a root's URL names: `file:`, `index+http(s):`, `s3+http(s):`, `gcs+http(s):`; a plain http(s) URL is
 * asked once which it is. @throws HubError BAD_REQUEST, BAD_GATEWAY
 */
export async function openSource(
  url: string,
  { fetch, signal }: { fetch: BoundedFetch; signal: AbortSignal },
): Promise<DropSource> {
  if (url.startsWith("file:")) return new DirectorySource(url);
  if (url.startsWith("index+")) return new AutoindexSource(url, fetch);
  if (/^(?:s3|gcs)\+/.test(url)) return new BucketSource(url, fetch);
  if (!/^https?:/.test(url)) {
    throw new HubError("BAD_REQUEST", `${JSON.stringify(url)} is no root of a drop.`);
  }
  const response = await fetch(url.includes("?") ? url : `${url}/`, { signal });
  const text = await response.text();
  if (!response.ok) throw new HubError("BAD_GATEWAY", `${url} answered ${response.status}.`);
  if (!/<(?:\w+:)?ListBucketResult[\s>]/.test(text.slice(0, 1000))) return new AutoindexSource(url, fetch);
  parseBucketPage(text);
  return new BucketSource(
    text.includes("<NextMarker") || text.includes("doc.s3.amazonaws.com/2006") && text.includes("<Marker")
      ? `gcs+${url}`
      : `s3+${url}`,
    fetch,
  );
}
