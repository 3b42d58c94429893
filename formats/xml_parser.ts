import { SaxesParser } from "saxes";

/** Thrown when a document is not well-formed, or by a handler when it violates its format; the catcher adds the place. */
export class XmlFault extends Error {
  /** `line`: the line of the fault, unless it is the present line. */
  constructor(message: string, readonly line?: number) {
    super(message);
  }
}

/** Faults that real producers write, and that are tolerated: control characters, and what HTML allows. */
const LENIENT = new Set([
  "disallowed character.",
  'the string "]]>" is disallowed in char data.',
  "an XML declaration must be at the start of the document.",
]);

/** The private state of saxes' `SaxesParser` between two pieces. */
interface State {
  state: number;
  /** State after the open entity. */
  entityReturnState: number | undefined;
  /** Text so far of the open text, value or comment. */
  text: string;
  /** Names so far of the open tag, instruction and entity. */
  name: string;
  piTarget: string;
  entity: string;
  /** Attributes of the open tag. */
  attribList: unknown[];
  chunk: string;
  /** Index of the next character in the chunk. */
  i: number;
  parseEntity(entity: string): string;
}

function stateAfter(text: string): number {
  return (new SaxesParser().write(text) as unknown as State).state;
}
const TEXT = stateAfter("<a>b");
const IN_TEXT = [TEXT, ...["", "]", "]]"].map((end) => stateAfter(`<a><![CDATA[b${end}`))];
const IN_ENTITY = stateAfter("<a>b&");
/** States in which the text may be cut without harm: values, comments, instructions. */
const IN_VALUE = ['<a b="c', "<!--c", "<!--c-", "<?c d", "<?c d?"].map(stateAfter);
/** Characters that cannot occur in an entity's name. */
const NO_NAME = /[\s<>&"'=,()/]/;

/** The saxes parser, strict except for `LENIENT`. @throws XmlFault */
export class Parser extends SaxesParser {
  constructor() {
    super();
    const now = this as unknown as State;
    const strict = now.parseEntity;
    now.parseEntity = (entity) => {
      const character = characterOf(entity);
      if (character !== undefined) return character;
      if (NO_NAME.test(entity)) this.refuseEntity(entity);
      return strict.call(this, entity);
    };
  }

  override write(chunk: string): this {
    super.write(chunk);
    // Otherwise `position` counts the chunk twice until the next write.
    (this as unknown as State).i = 0;
    return this;
  }

  override fail(message: string): this {
    const isLenient = LENIENT.has(message) || /^(?:version number|encoding value) must match/.test(message);
    if (!isLenient) throw new XmlFault(message.replace(/\.$/, ""));
    // saxes drops the `<` from a value.
    const now = this as unknown as State;
    if (message === "disallowed character." && now.chunk[now.i - 1] === "<") now.text += "<";
    return this;
  }

  /** The buffered part of the open construct: characters of a value, comment or name; the entity; the tag's attributes. */
  get buffered(): { characters: number; entity: string; attributes: number } {
    const { text, name, piTarget, entity, attribList } = this as unknown as State;
    return {
      characters: Math.max(text.length, name.length, piTarget.length),
      entity,
      attributes: attribList.length,
    };
  }

  /** Reports the line of an & that does not begin an entity. @throws XmlFault */
  refuseEntity(entity: string): never {
    throw new XmlFault(
      "an & does not begin an entity (write &amp;)",
      this.line - entity.split("\n").length + 1,
    );
  }

  /** Cuts an open value, comment or instruction that is longer than `longest`. */
  cutValue(longest: number): void {
    const now = this as unknown as State;
    if (now.text.length <= longest) return;
    const state = now.state === IN_ENTITY ? now.entityReturnState : now.state;
    if (IN_VALUE.includes(state!)) now.text = now.text.slice(0, longest / 2);
  }

  /** Takes an element's text so far out of saxes, which would buffer all of it, however long. */
  takeText(): string {
    const now = this as unknown as State;
    const isText = IN_TEXT.includes(now.state) || now.state === IN_ENTITY && now.entityReturnState === TEXT;
    if (now.text === "" || !isText) return "";
    const { text } = now;
    now.text = "";
    return text;
  }
}

/** The character of a numeric reference, even one that XML forbids: producers escape control characters this way. */
function characterOf(entity: string): string | undefined {
  const [, hex, decimal] = /^#(?:x([\da-f]{1,6})|(\d{1,7}))$/i.exec(entity) ?? [];
  const code = hex !== undefined ? parseInt(hex, 16) : decimal !== undefined ? Number(decimal) : Infinity;
  return code <= 0x10ffff ? String.fromCodePoint(code) : undefined;
}
