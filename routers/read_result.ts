import type { JsonText } from "../db/core/json_text.ts";
import type { CachedPage } from "./page_cache.ts";

/** How a read is answered: from the database, from the cache, or with a 304 because the client has the current page. */
type Kind = "fresh" | "cached" | "unchanged";

/** The result of a read that has a version. */
export class ReadResult<T> {
  private constructor(
    readonly kind: Kind,
    /** Undefined if unchanged. */
    readonly text: JsonText<T> | undefined,
    /** Entity tag; undefined if the version is unknown. */
    readonly tag: string | undefined,
    /** The cached page. */
    readonly page: CachedPage | undefined,
  ) {}

  static fresh<T>(text: JsonText<T>, tag: string | undefined): ReadResult<T> {
    return new ReadResult("fresh", text, tag, undefined);
  }

  static cached<T>(page: CachedPage): ReadResult<T> {
    return new ReadResult("cached", page.answer as JsonText<T>, page.tag, page);
  }

  static unchanged<T>(tag: string): ReadResult<T> {
    return new ReadResult<T>("unchanged", undefined, tag, undefined);
  }
}
