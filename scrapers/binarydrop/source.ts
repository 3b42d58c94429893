import type { Pattern } from "../../patterns.ts";

/** A build in a package's folder. */
export interface BuildEntry {
  changelist: number;
  revision: number;
  /** Its name in the package's folder. */
  file: string;
  /** Bytes; null when the listing omits the size. */
  size: number | null;
}

export interface Unparsed {
  /** `<package>/<name>`, or a name in the root. */
  place: string;
  reason: string;
}

/** Part of a package folder's listing, with at most `BATCH` builds. */
export type ListingPart =
  | { kind: "unchanged" }
  | { kind: "builds"; builds: BuildEntry[]; unparsed: Unparsed[] }
  /** The listing is complete. `mark` identifies the folder's state; pass it to the next `readPackage`. */
  | { kind: "end"; mark: string | null };

export const BATCH = 20_000;

/** An entry of the root: a package's folder, or something else. */
export type RootEntry = { kind: "package"; name: string } | { kind: "stray"; unparsed: Unparsed };

/** State of a package at its last read. */
export interface Known {
  mark: string | null;
  /** Start of that read. */
  readAt: Date | null;
}

export interface ReadOptions {
  signal: AbortSignal;
  pattern?: Pattern | undefined;
}

/** A drop root. A listing that fails or is truncated must throw, never end as if it were complete. */
export interface DropSource {
  readonly kind: "directory" | "autoindex" | "bucket";
  /** As configured. */
  readonly root: string;
  /** Most packages to read concurrently. */
  readonly concurrency: number;
  listPackages(options: ReadOptions): AsyncGenerator<RootEntry>;
  /** Reads a package's folder; undefined `known` forces the read. */
  readPackage(name: string, known: Known | undefined, options: ReadOptions): AsyncGenerator<ListingPart>;
}
