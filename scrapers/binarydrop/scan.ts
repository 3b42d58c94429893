import { HubError, reasonOf } from "../../errors.ts";
import type { Pattern } from "../../patterns.ts";
import type { BoundedFetch } from "../http/bounded_fetch.ts";
import { AutoindexSource } from "./autoindex.ts";
import { BucketSource, parseBucketPage } from "./bucket.ts";
import { DirectorySource } from "./directory.ts";
import { type PackageName, parsePackage } from "./names.ts";
import { RootDown, rootFetch } from "./root_fetch.ts";
import type { BuildEntry, DropSource, Known, Unparsed } from "./source.ts";

/** An event of a scan, in the order of discovery. */
export type ScanEvent =
  /** A package that is not scanned for builds. */
  | { kind: "skipped"; package: PackageName }
  | { kind: "unchanged"; package: PackageName }
  /** Some of a package's builds. The first part has `isFirst`; `end` or `unread` follows the last. */
  | { kind: "builds"; package: PackageName; builds: BuildEntry[]; unparsed: Unparsed[]; isFirst: boolean }
  /** The package was read completely. */
  | { kind: "end"; package: PackageName; mark: string | null }
  /** The package was not read, or only in part: a missing build does not mean that it was deleted. */
  | { kind: "unread"; package: PackageName; reason: string }
  | { kind: "stray"; unparsed: Unparsed };

export interface ScanOptions {
  signal: AbortSignal;
  isScanned(name: string): boolean;
  /** State of the last scan; undefined forces a read of the package. */
  known(name: string): Known | undefined;
  pattern?: Pattern | undefined;
}

/**
 * Scans a root. A package that fails yields `unread`, and the scan continues.
 * @throws HubError when the root itself cannot be listed completely or its server is down; then no package may count as deleted
 */
export async function* scanDrop(source: DropSource, options: ScanOptions): AsyncGenerator<ScanEvent> {
  const { signal } = options;
  const ahead: ReadAhead[] = [];
  try {
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
        ahead.push(readAhead(readOne(source, name, options)));
        if (ahead.length >= source.concurrency) yield* takeFirst(ahead);
      }
    }
    while (ahead.length > 0) yield* takeFirst(ahead);
  } finally {
    await Promise.all(ahead.map((reader) => reader.end()));
  }
}

/** Yields the events of the first reader, then removes it. */
async function* takeFirst(ahead: ReadAhead[]): AsyncGenerator<ScanEvent> {
  yield* ahead[0]!.events();
  ahead.shift();
}

/** Most builds that a package's reader buffers. */
const MAX_AHEAD = 20_000;

interface ReadAhead {
  events(): AsyncGenerator<ScanEvent>;
  /** Stops the reader, and waits until it has stopped. */
  end(): Promise<void>;
}

/** Reads events ahead of their consumer, up to `MAX_AHEAD` builds. */
function readAhead(events: AsyncGenerator<ScanEvent>): ReadAhead {
  const ready: ScanEvent[] = [];
  let buffered = 0;
  let isOver = false;
  let fault: { error: unknown } | undefined;
  let changed = Promise.withResolvers<void>();
  const notify = () => {
    changed.resolve();
    changed = Promise.withResolvers();
  };
  const reading = (async () => {
    try {
      for await (const event of events) {
        if (isOver) return;
        ready.push(event);
        buffered += sizeOf(event);
        notify();
        while (buffered >= MAX_AHEAD && !isOver) await changed.promise;
      }
    } catch (error) {
      fault = { error };
    } finally {
      isOver = true;
      notify();
    }
  })();
  return {
    async *events() {
      while (true) {
        const event = ready.shift();
        if (event !== undefined) {
          buffered -= sizeOf(event);
          notify();
          yield event;
        } else if (fault !== undefined) throw fault.error;
        else if (isOver) return;
        else await changed.promise;
      }
    },
    async end() {
      isOver = true;
      notify();
      await reading;
    },
  };
}

function sizeOf(event: ScanEvent): number {
  return event.kind === "builds" ? event.builds.length + event.unparsed.length : 0;
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
    if (error instanceof RootDown) throw error;
  }
}

/**
 * Opens the source of a root's URL: `file:`, `index+http(s):`, `s3+http(s):` or `gcs+http(s):`. For a plain http(s) URL, one
 * request finds out the kind. @throws HubError BAD_REQUEST, BAD_GATEWAY
 */
export async function openSource(
  url: string,
  options: { fetch: BoundedFetch; signal: AbortSignal },
): Promise<DropSource> {
  if (url.startsWith("file:")) return new DirectorySource(url);
  const address = url.replace(/^\w+\+/, "");
  const probe = address.includes("?") || address.endsWith("/") ? address : `${address}/`;
  const fetch = rootFetch(options.fetch, { probe });
  if (url.startsWith("index+")) return new AutoindexSource(url, fetch);
  if (/^(?:s3|gcs)\+/.test(url)) return new BucketSource(url, fetch);
  if (!/^https?:/.test(url)) {
    throw new HubError(
      "BAD_REQUEST",
      `${
        JSON.stringify(url)
      } is not a drop root: use file:, http(s):, index+http(s):, s3+http(s): or gcs+http(s):.`,
    );
  }
  const response = await fetch(url.includes("?") ? url : `${url}/`, { signal: options.signal });
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
