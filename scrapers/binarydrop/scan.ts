import { HubError, reasonOf } from "../../errors.ts";
import type { Pattern } from "../../patterns.ts";
import type { BoundedFetch } from "../http/bounded_fetch.ts";
import { AutoindexSource } from "./autoindex.ts";
import { BucketSource, parseBucketPage } from "./bucket.ts";
import { DirectorySource } from "./directory.ts";
import { type PackageName, parsePackage } from "./names.ts";
import { RootDown, rootFetch } from "./root_fetch.ts";
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
  pattern?: Pattern | undefined;
}

/**
 * Reads a root. A package that fails is told as `unread` and the rest goes on.
 * @throws HubError where the root itself cannot be listed to its end, or its server is down: then no package may be taken for gone
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
        if (ahead.length >= source.concurrency) yield* taken(ahead);
      }
    }
    while (ahead.length > 0) yield* taken(ahead);
  } finally {
    await Promise.all(ahead.map((reader) => reader.end()));
  }
}

/** The events of the first reader, which is done with then. */
async function* taken(ahead: ReadAhead[]): AsyncGenerator<ScanEvent> {
  yield* ahead[0]!.events();
  ahead.shift();
}

/** Builds that a package's reader may hold before they are taken. */
const MAX_AHEAD = 20_000;

interface ReadAhead {
  events(): AsyncGenerator<ScanEvent>;
  /** Reads no more, and waits for that. */
  end(): Promise<void>;
}

/** Reads events before they are asked for: as many as hold `MAX_AHEAD` builds. */
function readAhead(events: AsyncGenerator<ScanEvent>): ReadAhead {
  const ready: ScanEvent[] = [];
  let held = 0;
  let isOver = false;
  let fault: { error: unknown } | undefined;
  let changed = Promise.withResolvers<void>();
  const tell = () => {
    changed.resolve();
    changed = Promise.withResolvers();
  };
  const reading = (async () => {
    try {
      for await (const event of events) {
        if (isOver) return;
        ready.push(event);
        held += sizeOf(event);
        tell();
        while (held >= MAX_AHEAD && !isOver) await changed.promise;
      }
    } catch (error) {
      fault = { error };
    } finally {
      isOver = true;
      tell();
    }
  })();
  return {
    async *events() {
      while (true) {
        const event = ready.shift();
        if (event !== undefined) {
          held -= sizeOf(event);
          tell();
          yield event;
        } else if (fault !== undefined) throw fault.error;
        else if (isOver) return;
        else await changed.promise;
      }
    },
    async end() {
      isOver = true;
      tell();
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
 * The source that a root's URL names: `file:`, `index+http(s):`, `s3+http(s):`, `gcs+http(s):`; a plain http(s) URL is
 * asked once which it is. @throws HubError BAD_REQUEST, BAD_GATEWAY
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
    throw new HubError("BAD_REQUEST", `${JSON.stringify(url)} is no root of a drop.`);
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
