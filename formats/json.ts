import { type ParsedElementInfo, Tokenizer, TokenParser, TokenType } from "@streamparser/json";
import { LenientJson } from "./lenient_json.ts";
import { decodeText, DecodingError } from "./lines.ts";
import { FormatError } from "./format.ts";

const MAX_DEPTH = 200;
/** Most characters between two parts, which bounds the size of a part. */
const MAX_PART = 64 << 20;

export interface JsonPart {
  /** Keys and indexes from the root: `["tests", 3]`. */
  path: (string | number)[];
  value: unknown;
}

/** The members of the document's root: key -> kind. */
export type JsonRoot = Map<string, "list" | "object" | "value">;
/** Most keys of a root that are recorded. */
const MAX_ROOT = 1000;

/**
 * Streams the parts of a JSON document at `paths` (`$.tests.*`), in the order in which they end, and keeps none of them. `NaN` and
 * `Infinity` become null; `root` is filled during the read. A path must not lie under another.
 * @throws FormatError when it is not JSON, truncated, nested deeper than 200 levels, or has a part over 64 MiB
 */
export async function* readJsonParts(
  input: AsyncIterable<Uint8Array>,
  paths: string[],
  format: string,
  root: JsonRoot = new Map(),
): AsyncGenerator<JsonPart[]> {
  let parts: JsonPart[] = [];
  let depth = 0;
  let sincePart = 0;
  let isOver = false;
  let word = "";
  let isNamed = false;
  const tokenizer = new Tokenizer();
  const json = new LenientJson(tokenizer);
  const parser = new TokenParser({ paths, keepStack: false });
  tokenizer.onToken = (token) => {
    json.onToken(token.token, token.offset);
    if (depth === 1) {
      if (isNamed && root.size < MAX_ROOT) {
        const kind = token.token === TokenType.LEFT_BRACKET
          ? "list"
          : token.token === TokenType.LEFT_BRACE
          ? "object"
          : "value";
        root.set(word, kind);
      }
      isNamed = token.token === TokenType.COLON;
      if (token.token === TokenType.STRING) word = token.value as string;
    }
    if (token.token === TokenType.LEFT_BRACE || token.token === TokenType.LEFT_BRACKET) {
      if (++depth > MAX_DEPTH) {
        throw new FormatError(format, `${json.place()}: it is nested deeper than ${MAX_DEPTH} levels`);
      }
    } else if (token.token === TokenType.RIGHT_BRACE || token.token === TokenType.RIGHT_BRACKET) depth--;
    parser.write(token);
    if (parser.isEnded) isOver = true;
  };
  parser.onValue = ({ value, key, stack }: ParsedElementInfo) => {
    sincePart = 0;
    parts.push({ path: [...stack.slice(1).map((one) => one.key!), key!], value });
  };
  const guarded = (run: () => void) => {
    try {
      run();
    } catch (error) {
      if (error instanceof FormatError) throw error;
      const { message } = error as Error;
      const reason = message.split(/ at chunk position|\n/, 1)[0]!.slice(0, 200);
      throw new FormatError(format, `${json.place(error as Error)}: it is not JSON: ${reason}`);
    }
  };
  let isEmpty = true;
  for await (const text of decoded(input, format, (lines) => `from line ${json.line + lines} on`)) {
    if (text === "") continue;
    isEmpty = false;
    guarded(() => {
      if (!isOver) json.write(text);
      else if ((json.pending + text).trim() !== "") {
        throw new FormatError(format, `${json.place()}: content after the JSON document`);
      }
    });
    sincePart += text.length;
    if (sincePart > MAX_PART) throw new FormatError(format, "one part of it is larger than 64 MiB");
    if (parts.length > 0) {
      const taken = parts;
      parts = [];
      yield taken;
    }
  }
  if (isEmpty) throw new FormatError(format, "it is empty");
  guarded(() => {
    if (!isOver) json.end();
    else if (json.pending !== "") {
      throw new FormatError(format, `${json.place()}: content after the JSON document`);
    }
  });
  if (!isOver) throw new FormatError(format, `${json.place()}: it is truncated`);
  yield parts;
}

async function* decoded(
  input: AsyncIterable<Uint8Array>,
  format: string,
  place: (lines: number) => string,
): AsyncGenerator<string> {
  try {
    yield* decodeText(input, { fatal: true });
  } catch (error) {
    throw error instanceof DecodingError
      ? new FormatError(format, `${place(error.lines)} ${error.message}`)
      : error;
  }
}

/** Returns an object as it is, and undefined for any other value. */
export function asObject(value: unknown): Record<string, unknown> | undefined {
  return value !== null && typeof value === "object" && !Array.isArray(value)
    ? value as Record<string, unknown>
    : undefined;
}

/** Returns a string or number as text, and "" for any other value. */
export function asText(value: unknown): string {
  return typeof value === "string" ? value : typeof value === "number" ? String(value) : "";
}
