const PROCESS = crypto.randomUUID();

/**
 * An answer that already is JSON text. A page of many rows is serialised once, by Postgres, instead of being parsed and
 * serialised again.
 */
export class JsonText<T> {
  static #made = 0;
  /** A placeholder for the text in surrounding JSON, see `putInto`. It is random, so that no client can guess it. */
  #mark: string | undefined;

  /** `version`: the version of the data it was read from, see `cache_versions.ts`; null if unknown. */
  constructor(readonly text: string, readonly version: string | null = null) {}

  /** From now on `toJSON` returns a placeholder instead of the value, for `putInto` to replace. */
  mark(): void {
    this.#mark ??= `\u0001${PROCESS} ${JsonText.#made++}`;
  }

  toJSON(): unknown {
    return this.#mark ?? this.value;
  }

  /** Replaces the placeholder in `json` by the text, on one line. */
  putInto(json: string): string {
    return json.replace(JSON.stringify(this.#mark), () => this.text.replaceAll("\n", ""));
  }

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
