import { type AST, RegExpParser, visitRegExpAST } from "@eslint-community/regexpp";
import { getFirstConsumedChar, toUnicodeSet } from "regexp-ast-analysis";
import { analyse } from "scslre";

/**
 * A rule of `deno lint`: every pattern in the code takes time linear in the text it meets, and what a person wrote into a
 * setting is compiled by `patterns.ts`. `// deno-lint-ignore linear/pattern -- REASON` is for a pattern whose text is short, or the
 * hub's own.
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
// What `deno lint` reads of a plugin.
export default plugin;

function isScanned(file: string): boolean {
  return !/[\\/](?:tests|bench)[\\/]/.test(file);
}

/** Why a pattern may take more time than the text is long; undefined where it does not. */
export function superlinear(source: string, flags: string): string | undefined {
  const [report] = analyse({ source, flags }).reports;
  if (report !== undefined) {
    const parts = report.type === "Trade"
      ? `${report.startQuant.raw} and ${report.endQuant.raw} can take the same characters`
      : report.type === "Self"
      ? `${report.quant.raw} repeats what repeats itself`
      : `${report.quant.raw} begins anew at each of the characters that it takes`;
    return parts;
  }
  if (flags.includes("y")) return undefined;
  const { pattern } = new RegExpParser().parseLiteral(`/${source}/${flags}`);
  const { alternatives } = pattern;
  const twice = alike(pattern, toFlags(flags));
  if (twice !== undefined) return `${twice} has alternatives that begin alike, and is repeated`;
  for (const { elements } of alternatives) {
    const found = swallowed(elements, [], toFlags(flags));
    if (found !== undefined) {
      return `${found} takes all beginnings of the pattern, and each of them begins it anew`;
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
 * An endless part whose characters are also those of all parts before it, such as `<a\s[^>]*>`: on `<a <a <a ` each `<a` takes the
 * rest of the text. scslre looks for it behind one character alone.
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

/** A repeated group two of whose alternatives begin with the same character, as in `(a|a)*`: scslre does not look for it. */
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

/** Whether an assertion lets a pattern begin only once in a text, or only where a run of characters does. */
function isAnchor(node: AST.Assertion): boolean {
  return node.kind === "start" || node.kind === "lookbehind";
}

/** Whether a part may be made of these characters alone. */
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
