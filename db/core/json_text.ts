/**
 * An answer that already is JSON text. A page of many rows is serialised once, by Postgres, instead of being parsed and
 * serialised again.
 */
export class JsonText<T> {
  /** `version`: the version of the data it was read from, see `cache_versions.ts`; null if unknown. */
  constructor(readonly text: string, readonly version: string | null = null) {}

  /** The parsed text. */
  get value(): T {
    return JSON.parse(this.text) as T;
  }
}

/** Makes a page from items in JSON, one per line; null means no items. */
export function pageText<T>(
  lines: string | null,
  nextCursor: string | null,
  version: string | null = null,
): JsonText<T> {
  return new JsonText(`{"items":[${lines ?? ""}],"nextCursor":${JSON.stringify(nextCursor)}}`, version);
}

/** Returns all lines except the last. */
export function withoutLast(lines: string): string {
  return lines.slice(0, Math.max(0, lines.lastIndexOf(",\n")));
}
