import type { ResultFormat } from "../../formats/format.ts";
import { bytesOf, chunksOf } from "./formats.ts";

/** Makes a text of about so many characters. */
export type Text = (length: number) => string;

/** `piece` repeated between two other texts, as often as it fits. */
export function endless(
  piece: string,
  { head = "", tail = "" }: { head?: string; tail?: string } = {},
): Text {
  return (length) =>
    head + piece.repeat(Math.max(1, Math.floor((length - head.length - tail.length) / piece.length))) + tail;
}

/** Lines of `width` characters: `begin`, `piece` as often as it fits, and `end`. */
export function wide(
  begin: string,
  piece: string,
  end: string,
  { head = "", tail = "", width = 60_000 } = {},
): Text {
  const line = `${begin}${
    piece.repeat(Math.floor((width - begin.length - end.length) / piece.length))
  }${end}\n`;
  return endless(line, { head, tail });
}

/** A text whose first half is a name and whose second half names things below it. */
export function under(name: (letters: string) => string, piece: string, tail = ""): Text {
  return (length) => endless(piece, { head: name("a".repeat(length / 2)), tail })(length);
}

export interface Reader {
  format: ResultFormat;
  /** A file as a producer writes it, the baseline for the worst cases. */
  plain: Text;
  worst: Record<string, Text>;
}

/** Parses a text in a format, to its end or its first fault. */
export async function parseAll(format: ResultFormat, text: string, size: number): Promise<void> {
  for await (const _items of format.parse(chunksOf(bytesOf(text), size)));
}
