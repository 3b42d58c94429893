import type { SaxesTagPlain } from "saxes";
import { decodeXml } from "./encoding.ts";
import { FormatError } from "./format.ts";
import { DecodingError } from "./lines.ts";
import { Parser, XmlFault } from "./xml_parser.ts";

const MAX_DEPTH = 200;
/**
 * Longest value, comment or document type, in characters: runners put a failure's whole output into an attribute. Longer values
 * and comments are cut. The longest record that `junit_write.ts` writes fits.
 */
const MAX_VALUE = 1 << 22;
const MAX_ENTITY = 1000;
const MAX_ATTRIBUTES = 10_000;
/** Longest tag, in characters. */
const MAX_TAG = 1 << 26;

/** Receives the events of an XML document. Names have no prefix; `path` contains the names of the open elements. */
export interface XmlHandler<Item> {
  /** Accepted names of the root element. */
  roots: readonly string[];
  open(name: string, attributes: Record<string, string>, path: readonly string[]): void;
  /** Text in the last element of `path`; may be called with pieces. */
  text(text: string, path: readonly string[]): void;
  /** `path` is that of the parent. */
  close(name: string, path: readonly string[]): void;
  /** The items made since the last call. */
  take(): Item[];
}

/**
 * Reads an XML document through a handler, strictly and in bounded memory. Custom entities are refused; external parts are
 * never read. @throws FormatError with line and column when it is not well-formed, nested deeper than 200 levels, or truncated
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
    throw new FormatError(format, `from line ${reader.line + error.lines} on ${error.message}`);
  }
  reader.end();
  yield handler.take();
}

class Reader {
  #path: string[] = [];
  #hasRoot = false;
  #isOver = false;
  #sincePart = 0;
  #parser = new Parser();
  #format: string;
  #handler: XmlHandler<unknown>;

  constructor(format: string, handler: XmlHandler<unknown>) {
    this.#format = format;
    this.#handler = handler;
    const parser = this.#parser;
    parser.on("doctype", (text) => {
      // A document type that only has a name, or describes elements, is ignored.
      if (/<!ENTITY|%/.test(text)) {
        throw new XmlFault("its document type declares entities, which are not allowed");
      }
    });
    parser.on("opentag", (tag) => this.#open(tag));
    parser.on("closetag", (tag) => this.#close(localName(tag.name)));
    const onText = (text: string) => {
      this.#sincePart = 0;
      handler.text(text, this.#path);
    };
    parser.on("text", onText);
    parser.on("cdata", onText);
  }

  /** From 1. */
  get line(): number {
    return this.#parser.line;
  }

  write(text: string): void {
    if (text === "") return;
    this.#sincePart += text.length;
    this.#guarded(() => {
      this.#parser.write(text);
      const part = this.#parser.takeText();
      if (part !== "") {
        this.#sincePart = 0;
        this.#handler.text(part, this.#path);
      }
      this.#parser.cutValue(MAX_VALUE);
      const { characters, entity, attributes } = this.#parser.buffered;
      if (characters > MAX_VALUE) throw new XmlFault("a document type or a name is larger than 4 MiB");
      if (entity.length > MAX_ENTITY) this.#parser.refuseEntity(entity);
      if (attributes > MAX_ATTRIBUTES) throw new XmlFault(`a tag has more than ${MAX_ATTRIBUTES} attributes`);
      if (this.#sincePart > MAX_TAG) throw new XmlFault("one tag is larger than 64 MiB");
    });
  }

  end(): void {
    if (!this.#hasRoot) throw new FormatError(this.#format, "it is empty");
    this.#guarded(() => {
      const { entity } = this.#parser.buffered;
      if (entity !== "") this.#parser.refuseEntity(entity);
      if (!this.#isOver) throw new XmlFault(`it ends within <${this.#path.at(-1)}>`);
      this.#parser.close();
    });
  }

  #guarded(run: () => void): void {
    try {
      run();
    } catch (error) {
      const reason = error instanceof Error ? error.message.split("\n")[0]! : String(error);
      const place = error instanceof XmlFault && error.line !== undefined
        ? `line ${error.line}`
        : `line ${this.line}, column ${this.#parser.columnIndex + 1}`;
      const text = this.#isOver ? `content after the root element: ${reason}` : reason;
      throw new FormatError(this.#format, `${place}: ${text}`);
    }
  }

  #open(tag: SaxesTagPlain): void {
    this.#sincePart = 0;
    const name = localName(tag.name);
    if (this.#path.length >= MAX_DEPTH) throw new XmlFault(`elements are nested deeper than ${MAX_DEPTH}`);
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

/** The name of the root element in an XML file's head, without its prefix; undefined without XML or a root in the head. */
export function rootOf(head: Uint8Array): string | undefined {
  let text = xmlHead(head).trimStart();
  while (/^<[?!]/.test(text)) {
    const ends = text.startsWith("<?") ? "?>" : text.startsWith("<!--") ? "-->" : doctypeEnd(text);
    const at = text.indexOf(ends);
    if (at < 0) return undefined;
    text = text.slice(at + ends.length).trimStart();
  }
  return /^<(?:[\w.-]+:)?([\w.-]+)[\s>/]/.exec(text.slice(0, 200))?.[1];
}

/** The end of a document type, which may contain declarations in brackets. */
function doctypeEnd(text: string): string {
  const bracket = text.indexOf("[");
  const end = text.indexOf(">");
  return bracket >= 0 && bracket < end ? /\]\s*>/.exec(text)?.[0] ?? "]>" : ">";
}

/** The head of a file as XML text, for format detection. */
export function xmlHead(head: Uint8Array): string {
  return new TextDecoder(
    head[0] === 0xff || head[1] === 0 ? "utf-16le" : head[0] === 0xfe || head[0] === 0 ? "utf-16be" : "utf-8",
  ).decode(head);
}
