import { HubError } from "../../errors.ts";
import type { Page } from "../../schemas/common.ts";

/** A keyset cursor: the sort values of the last row, as opaque text. */
export function encodeCursor(values: readonly (string | number)[]): string {
  return btoa(String.fromCharCode(...new TextEncoder().encode(JSON.stringify(values))))
    .replaceAll("+", "-").replaceAll("/", "_").replace(/(?<!=)=+$/, "");
}

/** @throws HubError BAD_REQUEST where `cursor` is not one made by `encodeCursor` for values of these types. */
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
    // Falls through: one answer for every way of being broken.
  }
  throw new HubError(
    "BAD_REQUEST",
    `The cursor ${JSON.stringify(cursor.slice(0, 60))} is not one this list gave.`,
    {
      issues: [{ path: "cursor", message: "is not a nextCursor of this list" }],
    },
  );
}

/** Cuts `rows`, read with `limit + 1`, to a page. */
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
