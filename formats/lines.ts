import type { FormatItem } from "./format.ts";

/** Longest line that is kept whole unless told; the rest of a longer one is dropped. */
const MAX_LINE = 1 << 16;
const AT_ONCE = 1000;

export interface Line {
  text: string;
  /** From 1. */
  number: number;
}

/**
 * The lines of a text, without their ends (LF, CRLF), a chunk's worth at a time. The encoding is UTF-8, or UTF-16 by its
 * BOM; what is not valid in it becomes U+FFFD, since logs hold bytes of any kind.
 */
export async function* readLines(
  input: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  maxLine = MAX_LINE,
): AsyncGenerator<Line[]> {
  // Of the line that has begun: joined once, since it may come in many pieces.
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
  /** Whether bytes that do not fit the encoding are an error, and not U+FFFD. */
  fatal?: boolean;
  /** Bytes that `encodingOf` wants to see. */
  headBytes?: number;
  encodingOf?: (head: Uint8Array) => string;
}

/** Bytes that do not fit their encoding, as against what the input's own reading threw. */
export class DecodingError extends Error {
  /** Line ends before them since the last text. */
  constructor(message: string, readonly lines: number) {
    super(message);
  }
}

/** Text of bytes, in UTF-8 or the encoding of its BOM, unless `encodingOf` tells another. @throws DecodingError */
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
      throw new DecodingError(`its bytes are not ${decoder!.encoding}`, good!.split("\n").length - 1);
    }
  };
  const begin = () => {
    // The BOM is taken off here: Deno's decoder takes off one that begins a later chunk too.
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

/** The encoding that a text's BOM tells; UTF-8 where it has none. */
function encodingOfBom(head: Uint8Array): "utf-8" | "utf-16le" | "utf-16be" {
  if (head[0] === 0xff && head[1] === 0xfe) return "utf-16le";
  if (head[0] === 0xfe && head[1] === 0xff) return "utf-16be";
  return "utf-8";
}

/** The items of a format that is read line by line. */
export async function* readByLine(
  input: AsyncIterable<Uint8Array>,
  reader: { read(line: Line): Iterable<FormatItem>; end(): Iterable<FormatItem> },
): AsyncGenerator<FormatItem[]> {
  for await (const lines of readLines(input)) yield lines.flatMap((line) => [...reader.read(line)]);
  // A file may tell of many more cases at its end than it has lines.
  let items: FormatItem[] = [];
  for (const item of reader.end()) {
    items.push(item);
    if (items.length < AT_ONCE) continue;
    yield items;
    items = [];
  }
  yield items;
}

/** The head of a file as text, for telling its format. */
export function headText(head: Uint8Array): string {
  return new TextDecoder(encodingOfBom(head)).decode(head);
}
