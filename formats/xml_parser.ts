import { SaxesParser } from "saxes";

/** Thrown where a document is not well-formed, or by a handler where it breaks its format's rules; the place is added. */
export class XmlFault extends Error {
  /** The line, where it is another than the one at hand. */
  constructor(message: string, readonly line?: number) {
    super(message);
  }
}

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
  parseEntity(entity: string): string;
}

function stateAfter(text: string): number {
  return (new SaxesParser().write(text) as unknown as State).state;
}
const TEXT = stateAfter("<a>b");
const IN_TEXT = [TEXT, ...["", "]", "]]"].map((end) => stateAfter(`<a><![CDATA[b${end}`))];
const IN_ENTITY = stateAfter("<a>b&");
/** What may be cut without harm: values, comments, instructions. */
const IN_VALUE = ['<a b="c', "<!--c", "<!--c-", "<?c d", "<?c d?"].map(stateAfter);
/** What no entity's name holds. */
const NO_NAME = /[\s<>&"'=,()/]/;

/** saxes, strict but for `LENIENT`. @throws XmlFault */
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
    // Else it is counted twice in what `position` tells before the next one.
    (this as unknown as State).i = 0;
    return this;
  }

  override fail(message: string): this {
    const isLenient = LENIENT.has(message) || /^(?:version number|encoding value) must match/.test(message);
    if (!isLenient) throw new XmlFault(message.replace(/\.$/, ""));
    // saxes drops it from a value.
    const now = this as unknown as State;
    if (message === "disallowed character." && now.chunk[now.i - 1] === "<") now.text += "<";
    return this;
  }

  /** How much is held of what has begun: characters of a value, comment or name, or of an entity, and attributes of a tag. */
  get held(): { characters: number; entity: string; attributes: number } {
    const { text, name, piTarget, entity, attribList } = this as unknown as State;
    return {
      characters: Math.max(text.length, name.length, piTarget.length),
      entity,
      attributes: attribList.length,
    };
  }

  /** Tells where the & is that began what is no entity. @throws XmlFault */
  refuseEntity(entity: string): never {
    throw new XmlFault("an & begins no entity (write &amp;)", this.line - entity.split("\n").length + 1);
  }

  /** Cuts a value, comment or instruction that has begun and is longer. */
  cutValue(longest: number): void {
    const now = this as unknown as State;
    if (now.text.length <= longest) return;
    const state = now.state === IN_ENTITY ? now.entityReturnState : now.state;
    if (IN_VALUE.includes(state!)) now.text = now.text.slice(0, longest / 2);
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

/** What a reference by number stands for, also where XML forbids it: producers escape control characters so. */
function characterOf(entity: string): string | undefined {
  const [, hex, decimal] = /^#(?:x([\da-f]{1,6})|(\d{1,7}))$/i.exec(entity) ?? [];
  const code = hex !== undefined ? parseInt(hex, 16) : decimal !== undefined ? Number(decimal) : Infinity;
  return code <= 0x10ffff ? String.fromCodePoint(code) : undefined;
}
