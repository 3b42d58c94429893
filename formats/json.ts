import { type ParsedElementInfo, Tokenizer, TokenParser, TokenType } from "@streamparser/json";
import { LenientJson } from "./lenient_json.ts";
import { decodeText, DecodingError } from "./lines.ts";
import { FormatError } from "./format.ts";

const MAX_DEPTH = 200;
/** Most characters between two parts that are handed on, which bounds what one part holds. */
const MAX_PART = 64 << 20;

export interface JsonPart {
  /** Keys and places from the root: `["tests", 3]`. */
  path: (string | number)[];
  value: unknown;
}

/** What the document's root holds: key -> kind. */
export type JsonRoot = Map<string, "list" | "object" | "value">;
/** Keys of a root that are told. */
const MAX_ROOT = 1000;

/**
 * The parts of one JSON document that lie at `paths` (`$.tests.*`), in the order they end, some at a time, read as it comes and dropped
 * when handed on; `NaN` and `Infinity` are null; `root` is filled meanwhile. A path must not lie under another. @throws FormatError where it is not JSON, ends early, nests deeper than 200 or has a part over 64 MiB
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
        throw new FormatError(format, `${json.place()}: it nests deeper than ${MAX_DEPTH}`);
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
      else if ((json.held + text).trim() !== "") {
        throw new FormatError(format, `${json.place()}: something follows the JSON`);
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
    else if (json.held !== "") throw new FormatError(format, `${json.place()}: something follows the JSON`);
  });
  if (!isOver) throw new FormatError(format, `${json.place()}: it ends in the middle`);
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

/** An object, or undefined. */
export function asObject(value: unknown): Record<string, unknown> | undefined {
  return value !== null && typeof value === "object" && !Array.isArray(value)
    ? value as Record<string, unknown>
    : undefined;
}

/** Text of a string or a number, or "". */
export function asText(value: unknown): string {
  return typeof value === "string" ? value : typeof value === "number" ? String(value) : "";
}
