import { type AST, RegExpParser } from "@eslint-community/regexpp";
import { RE2JS } from "re2js";
import { HubError, reasonOf } from "./errors.ts";

/** Maximum steps of a pattern with its counted repetitions expanded. The time per character of a text grows with it. */
const MAX_STEPS = 1000;
/** JavaScript's white space characters; RE2's `\s` has only six of them. */
const SPACES =
  "\\t-\\r \\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}\\x{feff}";
const NO_SPACES =
  "\\x00-\\x08\\x0e-\\x1f!-\\x{9f}\\x{a1}-\\x{167f}\\x{1681}-\\x{1fff}\\x{200b}-\\x{2027}\\x{202a}-\\x{202e}" +
  "\\x{2030}-\\x{205e}\\x{2060}-\\x{2fff}\\x{3001}-\\x{fefe}\\x{ff00}-\\x{10ffff}";

/** A regular expression from a setting. It runs in time linear in the text, for any pattern and text. */
export interface Pattern {
  readonly source: string;
  test(text: string): boolean;
  /**
   * Returns the texts of the named groups (undefined for groups that did not take part), or undefined if the text does
   * not match.
   */
  groups(text: string): Record<string, string | undefined> | undefined;
}

/**
 * Compiles JavaScript's syntax (flag `u`) for RE2 (https://github.com/google/re2/wiki/Syntax), with JavaScript's meaning
 * of `.`, `\s` and the rest. Two differences: a repeated group keeps the text of its last iteration that it took part in,
 * and a repetition ends at an iteration that matches nothing (`(?:|a)*` matches nothing of "a").
 * @throws HubError BAD_REQUEST that names the pattern, the part that cannot run in linear time, and what to write instead
 */
export function compilePattern(source: string): Pattern {
  const root = parsed(source);
  const names = new Map<string, number[]>();
  let count = 0;
  const compiled = re2(new Translator(source, (name) => {
    count++;
    if (name !== null) names.set(name, [...names.get(name) ?? [], count]);
  }).pattern(root));
  const test = (text: string) => compiled.test(text);
  return {
    source,
    test,
    groups(text) {
      // Testing alone is many times faster than finding the groups.
      const match = test(text) ? compiled.exec(text) : null;
      if (match === null) return undefined;
      const found = Object.create(null) as Record<string, string | undefined>;
      for (const [name, places] of names) {
        found[name] = places.map((place) => match[place]).find((one) => one !== undefined && one !== null);
      }
      return found;
    },
  };

  function re2(translated: string): RE2JS {
    try {
      return RE2JS.compile(translated);
    } catch (error) {
      throw fault(source, `cannot run in linear time: ${reasonOf(error)}`);
    }
  }
}

/** Returns why a pattern cannot be used, or undefined. `oneOf`: named groups of which it must have at least one. */
export function patternFault(source: string, oneOf: readonly string[] = []): string | undefined {
  try {
    compilePattern(source);
  } catch (error) {
    return reasonOf(error);
  }
  const names = new Set(namesIn(parsed(source)));
  if (oneOf.length === 0 || oneOf.some((name) => names.has(name))) return undefined;
  const wanted = oneOf.map((name) => `(?<${name}>…)`).join(" or ");
  return `The pattern ${JSON.stringify(source)} lacks the named group ${wanted}.`;
}

function parsed(source: string): AST.Pattern {
  try {
    return new RegExpParser().parsePattern(source, 0, source.length, { unicode: true });
  } catch (error) {
    throw fault(source, `is not a regular expression: ${reasonOf(error)}`);
  }
}

function namesIn(pattern: AST.Pattern): string[] {
  const names: string[] = [];
  const walk = (node: AST.Node) => {
    if (node.type === "CapturingGroup" && node.name !== null) names.push(node.name);
    if ("alternatives" in node) node.alternatives.forEach(walk);
    else if (node.type === "Alternative") node.elements.forEach(walk);
    else if (node.type === "Quantifier") walk(node.element);
  };
  walk(pattern);
  return names;
}

function fault(source: string, reason: string): HubError {
  return new HubError("BAD_REQUEST", `The pattern ${JSON.stringify(source)} ${reason}`);
}

/** Translates a pattern to RE2's syntax. */
class Translator {
  #steps = 0;

  constructor(readonly source: string, private readonly onGroup: (name: string | null) => void) {}

  pattern({ alternatives }: AST.Pattern): string {
    return this.#alternatives(alternatives, 1);
  }

  /** `times`: the product of the counts of all enclosing repetitions. */
  #alternatives(alternatives: AST.Alternative[], times: number): string {
    return alternatives.map(({ elements }) => elements.map((one) => this.#element(one, times)).join("")).join(
      "|",
    );
  }

  #element(node: AST.Element, times: number): string {
    this.#steps += times;
    if (this.#steps > MAX_STEPS) {
      throw fault(
        this.source,
        `is too long: it has more than ${MAX_STEPS} steps once counts, as in {1,100}, are expanded; write * or + instead of them.`,
      );
    }
    switch (node.type) {
      case "Assertion":
        return this.#assertion(node);
      case "Backreference":
        throw this.#unsupported(node, "a backreference", "repeat the group's alternatives instead");
      case "CapturingGroup":
        this.onGroup(node.name);
        return `(${this.#alternatives(node.alternatives, times)})`;
      case "Group":
        return `(?${this.#flags(node)}:${this.#alternatives(node.alternatives, times)})`;
      case "Quantifier":
        return this.#quantifier(node, times);
      case "Character":
        return character(node.value);
      case "CharacterSet":
        return node.kind === "any" ? "[^\\n\\r\\x{2028}\\x{2029}]" : `[${setIn(node)}]`;
      case "CharacterClass": {
        const inside = node.elements.map((one) => this.#member(one)).join("");
        if (inside === "") return node.negate ? "[\\x00-\\x{10ffff}]" : "[^\\x00-\\x{10ffff}]";
        return `[${node.negate ? "^" : ""}${inside}]`;
      }
      default:
        throw this.#unsupported(node, "a set of classes", "write one class with all of its characters");
    }
  }

  #flags(node: AST.Group): string {
    const raw = node.modifiers?.raw ?? "";
    if (/^(?:-?i)?$/.test(raw)) return raw;
    throw this.#unsupported(
      node,
      "flags of a part",
      "write [^] for any character, and \\n for the end of a line",
    );
  }

  #assertion(node: AST.Assertion): string {
    if (node.kind === "start") return "\\A";
    if (node.kind === "end") return "\\z";
    if (node.kind === "word") return node.negate ? "\\B" : "\\b";
    throw this.#unsupported(
      node,
      `a ${node.kind}`,
      "match the text itself, outside the named groups, or several alternatives of it",
    );
  }

  #quantifier({ element, min, max, greedy }: AST.Quantifier, times: number): string {
    const most = Number.isFinite(max) ? max : min + 1;
    const inner = this.#element(element, times * Math.max(1, most));
    const counted = max === Infinity
      ? min === 0 ? "*" : min === 1 ? "+" : `{${min},}`
      : min === 0 && max === 1
      ? "?"
      : `{${min},${max}}`;
    return `(?:${inner})${counted}${greedy ? "" : "?"}`;
  }

  #member(node: AST.CharacterClassElement): string {
    if (node.type === "Character") return character(node.value);
    if (node.type === "CharacterClassRange") {
      return `${character(node.min.value)}-${character(node.max.value)}`;
    }
    if (node.type === "CharacterSet") return setIn(node);
    throw this.#unsupported(node, "a set of classes", "write one class with all of its characters");
  }

  #unsupported(node: AST.Node, what: string, instead: string): HubError {
    return fault(
      this.source,
      `has ${what}, ${
        JSON.stringify(node.raw)
      }, which is unsupported because it cannot run in linear time; ${instead}.`,
    );
  }
}

function character(value: number): string {
  const text = String.fromCodePoint(value);
  return /^[A-Za-z0-9_]$/.test(text) ? text : `\\x{${value.toString(16)}}`;
}

/** Returns a character set, for use within brackets. */
function setIn(node: AST.EscapeCharacterSet | AST.UnicodePropertyCharacterSet): string {
  if (node.kind === "property") return `\\${node.negate ? "P" : "p"}{${node.value ?? node.key}}`;
  if (node.kind === "space") return node.negate ? NO_SPACES : SPACES;
  if (node.kind === "digit") return node.negate ? "\\D" : "\\d";
  return node.negate ? "\\W" : "\\w";
}
