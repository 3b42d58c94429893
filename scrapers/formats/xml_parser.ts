import { SaxesParser } from "saxes";

/** Thrown where a document is not well-formed, or by a handler where it breaks its format's rules; the place is added. */
export class XmlFault extends Error {}

/** What producers really write against the rules: control characters, and what HTML would take. */
const LENIENT = new Set([
  "disallowed character.",
  'the string "]]>" is disallowed in char data.',
  "an XML declaration must be at the start of the document.",
]);

/** What saxes keeps of a document between two pieces; see its `SaxesParser`. */
interface State {
  state: number;
  /** What follows an entity that has begun. */
  entityReturnState: number | undefined;
  /** Of text, a value, or a comment that has begun. */
  text: string;
  /** Of the tag, the instruction, the entity that has begun. */
  name: string;
  piTarget: string;
  entity: string;
  /** Of the tag that has begun. */
  attribList: unknown[];
  chunk: string;
  /** Of the next character in the chunk. */
  i: number;
}

function stateAfter(text: string): number {
  return (new SaxesParser().write(text) as unknown as State).state;
}
const TEXT = stateAfter("<a>b");
const IN_TEXT = [TEXT, ...["", "]", "]]"].map((end) => stateAfter(`<a><![CDATA[b${end}`))];
const IN_ENTITY = stateAfter("<a>b&");

/** saxes, strict but for `LENIENT`. @throws XmlFault */
export class Parser extends SaxesParser {
  override fail(message: string): this {
    const isLenient = LENIENT.has(message) || /^(?:version number|encoding value) must match/.test(message);
    if (!isLenient) throw new XmlFault(message.replace(/\.$/, ""));
    // saxes drops it from a value.
    const now = this as unknown as State;
    if (message === "disallowed character." && now.chunk[now.i - 1] === "<") now.text += "<";
    return this;
  }

  /** How much is held of what has begun: characters of a value, comment or name, or of an entity, and attributes of a tag. */
  get held(): { characters: number; entity: number; attributes: number } {
    const { text, name, piTarget, entity, attribList } = this as unknown as State;
    return {
      characters: Math.max(text.length, name.length, piTarget.length),
      entity: entity.length,
      attributes: attribList.length,
    };
  }

  /** The text that has come of an element so far. It may be of any length, and saxes would hold all of it. */
  takeText(): string {
    const now = this as unknown as State;
    const isText = IN_TEXT.includes(now.state) || now.state === IN_ENTITY && now.entityReturnState === TEXT;
    if (now.text === "" || !isText) return "";
    const { text } = now;
    now.text = "";
    return text;
  }
}
