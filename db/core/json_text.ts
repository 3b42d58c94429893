const PROCESS = crypto.randomUUID();

/**
 * An answer that is JSON already: what is told again and again, a page of many rows, is written once, and not made into
 * objects only to be written by whoever answers.
 */
export class JsonText<T> {
  static #made = 0;
  /** Stands for the text in JSON that it is to be put into, see `putInto`; nobody outside can know it. */
  #mark: string | undefined;

  /** `version` tells what it was read of, see `versions.ts`, where that can be told. */
  constructor(readonly text: string, readonly version: string | null = null) {}

  /** From now on a mark is written in place of the value, for `putInto` to find. */
  mark(): void {
    this.#mark ??= `\u0001${PROCESS} ${JsonText.#made++}`;
  }

  toJSON(): unknown {
    return this.#mark ?? this.value;
  }

  /** JSON in which this was written by its mark, with the text in its place, on one line. */
  putInto(json: string): string {
    return json.replace(JSON.stringify(this.#mark), () => this.text.replaceAll("\n", ""));
  }

  /** What the text says. */
  get value(): T {
    return JSON.parse(this.text) as T;
  }
}

/** A page of items that are JSON, a line each; null where there are none. */
export function pageText<T>(
  lines: string | null,
  nextCursor: string | null,
  version: string | null = null,
): JsonText<T> {
  return new JsonText(`{"items":[${lines ?? ""}],"nextCursor":${JSON.stringify(nextCursor)}}`, version);
}

/** All lines but the last. */
export function withoutLast(lines: string): string {
  return lines.slice(0, Math.max(0, lines.lastIndexOf(",\n")));
}
