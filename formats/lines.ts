import type { FormatItem } from "./format.ts";

/** Default limit of a line in characters; the rest of a longer line is dropped. */
const MAX_LINE = 1 << 16;
const AT_ONCE = 1000;

export interface Line {
  text: string;
  /** From 1. */
  number: number;
}

/**
 * Yields the lines of a text without line ends (LF, CRLF), those of a chunk at a time. The encoding is UTF-8, or UTF-16 with a
 * BOM. Invalid bytes become U+FFFD, since logs contain arbitrary bytes.
 */
export async function* readLines(
  input: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  maxLine = MAX_LINE,
): AsyncGenerator<Line[]> {
  // Pieces of the present line, joined only once: there may be many.
  let pieces: string[] = [];
  let length = 0;
  let number = 0;
  const toLine = (whole: string): Line => {
    const text = whole.length > maxLine ? whole.slice(0, maxLine) : whole;
    return { text: text.endsWith("\r") ? text.slice(0, -1) : text, number: ++number };
  };
  for await (const text of decodeText(input)) {
    const lines = text.split("\n");
    if (lines.length > 1) {
      pieces.push(lines[0]!);
      lines[0] = pieces.join("");
      [pieces, length] = [[], 0];
    }
    const rest = lines.pop()!;
    if (rest !== "" && length < maxLine) {
      pieces.push(rest);
      length += rest.length;
    }
    if (lines.length > 0) yield lines.map(toLine);
  }
  if (length > 0) yield [toLine(pieces.join(""))];
}

export interface DecodeOptions {
  /** Whether bytes invalid in the encoding are an error instead of U+FFFD. */
  fatal?: boolean;
  /** Bytes that `encodingOf` needs. */
  headBytes?: number;
  encodingOf?: (head: Uint8Array) => string;
}

/** Thrown for bytes invalid in their encoding; errors of the input itself are thrown unchanged. */
export class DecodingError extends Error {
  /** `lines`: line ends between the last yielded text and the invalid bytes. */
  constructor(message: string, readonly lines: number) {
    super(message);
  }
}

/** Decodes bytes, by default in UTF-8 or the encoding of the BOM. @throws DecodingError */
export async function* decodeText(
  input: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  { fatal = false, headBytes = 4, encodingOf = encodingOfBom }: DecodeOptions = {},
): AsyncGenerator<string> {
  let decoder: TextDecoder | undefined;
  let head = new Uint8Array(0);
  const decode = (bytes?: Uint8Array) => {
    try {
      return bytes === undefined ? decoder!.decode() : decoder!.decode(bytes, { stream: true });
    } catch {
      const [good] = new TextDecoder(decoder!.encoding).decode(bytes).split("\uFFFD", 1);
      throw new DecodingError(`its bytes are not valid ${decoder!.encoding}`, good!.split("\n").length - 1);
    }
  };
  const begin = () => {
    // The BOM is removed here, since Deno's decoder would also remove one at the start of a later chunk.
    decoder = new TextDecoder(encodingOf(head), { fatal, ignoreBOM: true });
    return decode(head).replace(/^\uFEFF/, "");
  };
  for await (const chunk of input) {
    if (decoder !== undefined) {
      yield decode(chunk);
      continue;
    }
    const joined = new Uint8Array(head.length + chunk.length);
    joined.set(head);
    joined.set(chunk, head.length);
    head = joined;
    if (head.length >= headBytes) yield begin();
  }
  if (decoder === undefined) yield begin();
  yield decode();
}

/** The encoding of a BOM; UTF-8 without a BOM. */
function encodingOfBom(head: Uint8Array): "utf-8" | "utf-16le" | "utf-16be" {
  if (head[0] === 0xff && head[1] === 0xfe) return "utf-16le";
  if (head[0] === 0xfe && head[1] === 0xff) return "utf-16be";
  return "utf-8";
}

/** Yields the items of a format that is read line by line. */
export async function* readByLine(
  input: AsyncIterable<Uint8Array>,
  reader: { read(line: Line): Iterable<FormatItem>; end(): Iterable<FormatItem> },
): AsyncGenerator<FormatItem[]> {
  for await (const lines of readLines(input)) yield lines.flatMap((line) => [...reader.read(line)]);
  // At its end, a file may yield many more cases than it has lines.
  let items: FormatItem[] = [];
  for (const item of reader.end()) {
    items.push(item);
    if (items.length < AT_ONCE) continue;
    yield items;
    items = [];
  }
  yield items;
}

/** The head of a file as text, for format detection. */
export function headText(head: Uint8Array): string {
  return new TextDecoder(encodingOfBom(head)).decode(head);
}
