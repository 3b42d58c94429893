import fc from "fast-check";
import { expect, test } from "vitest";
import { decodeCursor, encodeCursor, toPage } from "../../../db/core/cursor.ts";
import { HubError } from "../../../errors.ts";

test("decoding restores any encoded values", () => {
  fc.assert(
    fc.property(
      fc.string({ unit: "binary" }).filter((s) => !s.includes("\0") && s.isWellFormed()),
      fc.maxSafeInteger(),
      (name, id) => {
        expect(decodeCursor(encodeCursor([name, id]), ["string", "number"])).toEqual([name, id]);
      },
    ),
  );
});

test("any other text is a 400, never another error", () => {
  fc.assert(fc.property(fc.string(), (text) => {
    try {
      decodeCursor(text, ["number"]);
    } catch (error) {
      expect(error).toBeInstanceOf(HubError);
      expect((error as HubError).code).toBe("BAD_REQUEST");
    }
  }));
  for (const values of [[], [1, 2], ["1"], [1.5]]) {
    expect(() => decodeCursor(encodeCursor(values as number[]), ["number"])).toThrow(HubError);
  }
});

test("a page has a cursor only if more rows follow", () => {
  const cut = (rows: number[]) => toPage(rows, 2, (row) => row, (row) => [row]);
  expect(cut([1, 2])).toEqual({ items: [1, 2], nextCursor: null });
  expect(cut([1, 2, 3])).toEqual({ items: [1, 2], nextCursor: encodeCursor([2]) });
});
