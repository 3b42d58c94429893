import { type AST, RegExpParser, visitRegExpAST } from "@eslint-community/regexpp";
import { getFirstConsumedChar, toUnicodeSet } from "regexp-ast-analysis";
import { analyse } from "scslre";

/**
 * A rule of `deno lint`: every pattern in the code takes time linear in its text, and patterns from settings are compiled by
 * `patterns.ts`. Use `// deno-lint-ignore linear/pattern -- REASON` for a pattern whose text is short or the hub's own.
 */
const plugin: Deno.lint.Plugin = {
  name: "linear",
  rules: {
    pattern: {
      create(context) {
        if (!isScanned(context.filename)) return {};
        return {
          Literal(node) {
            if (!("regex" in node) || node.regex === undefined) return;
            const { pattern, flags } = node.regex;
            const fault = superlinear(pattern, flags);
            if (fault !== undefined) {
              context.report({
                node,
                message: `${node.raw} takes time beyond the text's length: ${fault}.`,
                hint:
                  "Read the text by hand, or begin a run of characters only where none precedes: (?<!x)x+$",
              });
            }
          },
          ':matches(NewExpression, CallExpression)[callee.name="RegExp"]'(node) {
            context.report({
              node,
              message: "A pattern that is not written here may backtrack.",
              hint: "Compile it by patterns.ts, which runs in linear time.",
            });
          },
        };
      },
    },
  },
};
// The part of a plugin that `deno lint` reads.
export default plugin;

function isScanned(file: string): boolean {
  return !/[\\/](?:tests|bench)[\\/]/.test(file);
}

/** Why a pattern may take more than linear time; undefined for a linear pattern. */
export function superlinear(source: string, flags: string): string | undefined {
  const [report] = analyse({ source, flags }).reports;
  if (report !== undefined) {
    const parts = report.type === "Trade"
      ? `${report.startQuant.raw} and ${report.endQuant.raw} can match the same characters`
      : report.type === "Self"
      ? `${report.quant.raw} repeats a part that itself repeats`
      : `${report.quant.raw} can begin again at each character that it matches`;
    return parts;
  }
  if (flags.includes("y")) return undefined;
  const { pattern } = new RegExpParser().parseLiteral(`/${source}/${flags}`);
  const { alternatives } = pattern;
  const twice = alike(pattern, toFlags(flags));
  if (twice !== undefined) {
    return `${twice} is repeated and has alternatives that begin with the same character`;
  }
  for (const { elements } of alternatives) {
    const found = swallowed(elements, [], toFlags(flags));
    if (found !== undefined) {
      return `${found} matches all beginnings of the pattern, each of which starts it again`;
    }
  }
  return undefined;
}

function toFlags(flags: string) {
  return {
    ignoreCase: flags.includes("i"),
    unicode: flags.includes("u"),
    dotAll: flags.includes("s"),
    multiline: flags.includes("m"),
  };
}
type Flags = ReturnType<typeof toFlags>;
type CharacterSet = ReturnType<typeof toUnicodeSet>;

/**
 * Finds an unbounded part that also matches all parts before it, as in `<a\s[^>]*>`: on `<a <a <a ` each `<a` consumes the rest of
 * the text. scslre finds this only after a single character.
 */
function swallowed(elements: AST.Element[], before: AST.Element[], flags: Flags): string | undefined {
  const prefix = [...before];
  for (const [index, one] of elements.entries()) {
    if (one.type === "Assertion" && isAnchor(one) && prefix.length === 0) return undefined;
    const behind = elements.slice(index + 1);
    if (one.type === "Group" || one.type === "CapturingGroup") {
      for (const alternative of one.alternatives) {
        const found = swallowed([...alternative.elements, ...behind], prefix, flags);
        if (found !== undefined) return found;
      }
      return undefined;
    }
    if (
      one.type === "Quantifier" && one.max === Infinity && prefix.some((part) => part.type !== "Assertion")
    ) {
      const characters = setOf(one.element, flags);
      const mayFail = behind.some((part) => part.type !== "Quantifier" || part.min > 0);
      if (characters !== undefined && mayFail && prefix.every((part) => fits(part, characters, flags))) {
        return one.raw;
      }
    }
    prefix.push(one);
  }
  return undefined;
}

/** Finds a repeated group with two alternatives that begin with the same character, as in `(a|a)*`; scslre does not. */
function alike(root: AST.Pattern, flags: Flags): string | undefined {
  let found: string | undefined;
  visitRegExpAST(root, {
    onQuantifierEnter({ element, max, raw }) {
      if (max < 2 || element.type !== "Group" && element.type !== "CapturingGroup") return;
      const firsts = element.alternatives.map((one) => getFirstConsumedChar(one, "ltr", flags).char);
      const isAlike = firsts.some((one, at) =>
        firsts.slice(at + 1).some((other) => !one.isDisjointWith(other))
      );
      if (isAlike) found ??= raw;
    },
  });
  return found;
}

/** Whether an assertion lets a pattern begin only once in a text, or only at the start of a run of characters. */
function isAnchor(node: AST.Assertion): boolean {
  return node.kind === "start" || node.kind === "lookbehind";
}

/** Whether a part can match a text of only these characters. */
function fits(node: AST.Element, characters: CharacterSet, flags: Flags): boolean {
  if (node.type === "Assertion") return true;
  if (node.type === "Quantifier") return node.min === 0 || fits(node.element, characters, flags);
  if (node.type === "Group" || node.type === "CapturingGroup") {
    return node.alternatives.some(({ elements }) => elements.every((one) => fits(one, characters, flags)));
  }
  const own = setOf(node, flags);
  return own === undefined || !own.chars.isDisjointWith(characters.chars);
}

function setOf(node: AST.Element, flags: Flags): CharacterSet | undefined {
  const isSet = node.type === "Character" || node.type === "CharacterSet" || node.type === "CharacterClass";
  return isSet ? toUnicodeSet(node, flags) : undefined;
}
