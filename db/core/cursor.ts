import { HubError } from "../../errors.ts";
import type { Page } from "../../schemas/common.ts";

/** Encodes a keyset cursor: the sort values of the last row, as opaque text. */
export function encodeCursor(values: readonly (string | number)[]): string {
  return btoa(String.fromCharCode(...new TextEncoder().encode(JSON.stringify(values))))
    .replaceAll("+", "-").replaceAll("/", "_").replace(/(?<!=)=+$/, "");
}

/** Decodes a cursor. @throws HubError BAD_REQUEST if `cursor` was not made by `encodeCursor` for values of these types */
export function decodeCursor<const T extends readonly ("string" | "number")[]>(
  cursor: string,
  types: T,
): { [K in keyof T]: T[K] extends "string" ? string : number } {
  try {
    const bytes = Uint8Array.from(
      atob(cursor.replaceAll("-", "+").replaceAll("_", "/")),
      (char) => char.charCodeAt(0),
    );
    const values: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    if (
      Array.isArray(values) && values.length === types.length &&
      values.every((value, at) =>
        types[at] === "number"
          ? Number.isSafeInteger(value)
          : typeof value === types[at] && !value.includes("\0")
      )
    ) return values as { [K in keyof T]: T[K] extends "string" ? string : number };
  } catch {
    // Falls through to the same error as for every other invalid cursor.
  }
  throw new HubError(
    "BAD_REQUEST",
    `The cursor ${
      JSON.stringify(cursor.slice(0, 60))
    } is not a nextCursor of this list. Start again without a cursor.`,
    {
      issues: [{ path: "cursor", message: "is not a nextCursor of this list" }],
    },
  );
}

/** Makes a page from `rows`, which were read with `limit + 1`. */
export function toPage<R, T>(
  rows: readonly R[],
  limit: number,
  item: (row: R) => T,
  key: (row: R) => readonly (string | number)[],
): Page<T> {
  const last = rows.length > limit ? rows[limit - 1] : undefined;
  return {
    items: rows.slice(0, limit).map(item),
    nextCursor: last === undefined ? null : encodeCursor(key(last)),
  };
}
