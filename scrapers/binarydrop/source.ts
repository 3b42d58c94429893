import type { Pattern } from "../../patterns.ts";

/** A build in a package's folder. */
export interface BuildEntry {
  changelist: number;
  revision: number;
  /** Its name in the package's folder. */
  file: string;
  /** Bytes; null where the listing does not tell. */
  size: number | null;
}

export interface Unparsed {
  /** `<package>/<name>`, or a name in the root. */
  place: string;
  reason: string;
}

/** What a folder held: builds, at most `BATCH` at a time. */
export type ListingPart =
  | { kind: "unchanged" }
  | { kind: "builds"; builds: BuildEntry[]; unparsed: Unparsed[] }
  /** The listing is whole; `mark` is the folder's sign of change, to be handed in next time. */
  | { kind: "end"; mark: string | null };

export const BATCH = 20_000;

/** An entry of the root: a folder that is a package, or something that is none. */
export type RootEntry = { kind: "package"; name: string } | { kind: "stray"; unparsed: Unparsed };

/** What was known of a package when it was last read. */
export interface Known {
  mark: string | null;
  /** Start of that reading. */
  readAt: Date | null;
}

export interface ReadOptions {
  signal: AbortSignal;
  pattern?: Pattern | undefined;
}

/** A root of the drop. A listing that fails or is cut short throws; it never ends as if it were whole. */
export interface DropSource {
  readonly kind: "directory" | "autoindex" | "bucket";
  /** As configured. */
  readonly root: string;
  /** Packages that may be read at once. */
  readonly concurrency: number;
  listPackages(options: ReadOptions): AsyncGenerator<RootEntry>;
  /** `known` undefined: read in any case. */
  readPackage(name: string, known: Known | undefined, options: ReadOptions): AsyncGenerator<ListingPart>;
}
