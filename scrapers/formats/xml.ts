import sax, { type Tag } from "sax";
import { decodeXml } from "./encoding.ts";
import { FormatError } from "./format.ts";
import { DecodingError } from "./lines.ts";

const MAX_DEPTH = 200;
const MAX_TAG = 1 << 20;
// Runners put a failure's whole output into an attribute; sax refuses more than 64 KiB unless told.
sax.MAX_BUFFER_LENGTH = MAX_TAG;

/** What a format does with an XML document. Names come without their prefix; `path` holds those of the open elements. */
export interface XmlHandler<Item> {
  /** Names of the root element that the format knows. */
  roots: readonly string[];
  open(name: string, attributes: Record<string, string>, path: readonly string[]): void;
  /** Text in the element that is last in `path`; may come in pieces. */
  text(text: string, path: readonly string[]): void;
  /** `path` is that of the parent. */
  close(name: string, path: readonly string[]): void;
  /** The items made since the last call. */
  take(): Item[];
}

/** Thrown by a handler where the document breaks the format's rules; the place is added. */
export class XmlFault extends Error {}

/**
 * Reads an XML document through a handler, strictly, in bounded memory, without entities of its own or outside parts.
 * @throws FormatError with line and column where it is not well-formed, nests deeper than 200, or ends early
 */
export async function* readXml<Item>(
  input: AsyncIterable<Uint8Array>,
  format: string,
  handler: XmlHandler<Item>,
): AsyncGenerator<Item[]> {
  const reader = new Reader(format, handler);
  try {
    for await (const text of decodeXml(input, format)) {
      reader.write(text);
      yield handler.take();
    }
  } catch (error) {
    if (!(error instanceof DecodingError)) throw error;
    throw new FormatError(format, `from line ${reader.line} on ${error.message}`);
  }
  reader.end();
  yield handler.take();
}

class Reader {
  #path: string[] = [];
  #hasRoot = false;
  #isOver = false;
  #sincePart = 0;
  #parser = sax.parser(true, { position: true, strictEntities: false });
  #format: string;
  #handler: XmlHandler<unknown>;

  constructor(format: string, handler: XmlHandler<unknown>) {
    this.#format = format;
    this.#handler = handler;
    const parser = this.#parser;
    parser.onerror = (error) => {
      throw new XmlFault(error.message.split("\n")[0]!);
    };
    parser.ondoctype = (text) => {
      // A document type that is but named, or describes elements, is passed over.
      if (/<!ENTITY|%/.test(text)) {
        throw new XmlFault("it declares a document type with entities, which are never read");
      }
    };
    parser.onopentag = (tag) => this.#open(tag);
    parser.onclosetag = (name) => this.#close(localName(name));
    parser.ontext = parser.oncdata = (text) => {
      // Text comes in pieces, so that it may be of any length; what is held is a tag.
      this.#sincePart = 0;
      handler.text(text, this.#path);
    };
  }

  /** From 1. */
  get line(): number {
    return this.#parser.line + 1;
  }

  write(text: string): void {
    if (text === "") return;
    this.#sincePart += text.length;
    this.#guarded(() => {
      this.#parser.write(text);
      if (this.#sincePart > 64 * MAX_TAG) throw new XmlFault("one tag is larger than 64 MiB");
    });
  }

  end(): void {
    if (!this.#hasRoot) throw new FormatError(this.#format, "it is empty");
    this.#guarded(() => {
      this.#parser.close();
      if (!this.#isOver) throw new XmlFault("it ends in the middle");
    });
  }

  #guarded(run: () => void): void {
    try {
      run();
    } catch (error) {
      const reason = error instanceof Error ? error.message.split("\n")[0]! : String(error);
      throw new FormatError(this.#format, `line ${this.line}, column ${this.#parser.column + 1}: ${reason}`);
    }
  }

  #open(tag: Tag): void {
    this.#sincePart = 0;
    const name = localName(tag.name);
    if (this.#path.length >= MAX_DEPTH) throw new XmlFault(`elements are nested deeper than ${MAX_DEPTH}`);
    if (this.#isOver) throw new XmlFault("it has a second root");
    if (!this.#hasRoot && !this.#handler.roots.includes(name)) {
      throw new XmlFault(`its root is ${JSON.stringify(tag.name)}, not ${this.#handler.roots.join(" or ")}`);
    }
    this.#hasRoot = true;
    this.#path.push(name);
    this.#handler.open(name, tag.attributes, this.#path);
  }

  #close(name: string): void {
    this.#sincePart = 0;
    this.#path.pop();
    this.#handler.close(name, this.#path);
    if (this.#path.length === 0) this.#isOver = true;
  }
}

function localName(name: string): string {
  const at = name.indexOf(":");
  return at < 0 ? name : name.slice(at + 1);
}

/** The head of a file as XML text, for telling its format. */
export function xmlHead(head: Uint8Array): string {
  return new TextDecoder(
    head[0] === 0xff || head[1] === 0 ? "utf-16le" : head[0] === 0xfe || head[0] === 0 ? "utf-16be" : "utf-8",
  ).decode(head);
}
