import { type AST, RegExpParser } from "@eslint-community/regexpp";
import { jsonpath } from "json-p3";
import { LRUCache } from "lru-cache";
import { HubError } from "../../errors.ts";
import { compilePattern, type Pattern } from "../../patterns.ts";

/** Escapes that I-Regexp allows: its own syntax characters, and `\n`, `\r` and `\t`. */
const ESCAPED = /^\\[()*+\-.?[\\\]^nrt{|}]$/;
/** Character classes that I-Regexp allows: Unicode general categories by their short names. */
const CATEGORY = /^\\[pP]\{[A-Z][a-z]?\}$/;

class Environment extends jsonpath.JSONPathEnvironment {
  override setupFilterFunctions(): void {
    super.setupFilterFunctions();
    this.functionRegister.set(
      "match",
      matcher((source) =>
        // json-p3 likewise leaves a pattern with its own anchors as it is.
        source.startsWith("^") || source.endsWith("$") ? source : `^(?:${source})$`
      ),
    );
    this.functionRegister.set("search", matcher((source) => source));
  }

  override checkWellTypedness(
    ...[token, args]: Parameters<jsonpath.JSONPathEnvironment["checkWellTypedness"]>
  ): ReturnType<jsonpath.JSONPathEnvironment["checkWellTypedness"]> {
    const pattern = args[1];
    if (["match", "search"].includes(token.value) && pattern instanceof jsonpath.expressions.StringLiteral) {
      const source = iRegexp(pattern.value);
      if (source !== undefined) compilePattern(source);
    }
    return super.checkWellTypedness(token, args);
  }
}

const environment = new Environment();

/** Compiles a JSONPath (RFC 9535). Its `match` and `search` run in linear time. @throws an error that names the fault */
export function compilePath(text: string): ReturnType<typeof environment.compile> {
  return environment.compile(text);
}

/**
 * Makes `match` or `search` (RFC 9535, 2.4.6 and 2.4.7): a value that is not a string, or a pattern that is not an I-Regexp,
 * does not match. The pattern may come from the data.
 */
function matcher(whole: (source: string) => string) {
  const { LogicalType, ValueType } = jsonpath.functions.FunctionExpressionType;
  const known = new LRUCache<string, Pattern | "none">({ max: 32 });
  const find = (text: string): Pattern | "none" => {
    const source = iRegexp(text);
    try {
      return source === undefined ? "none" : compilePattern(whole(source));
    } catch (error) {
      if (error instanceof HubError) return "none";
      throw error;
    }
  };
  return {
    argTypes: [ValueType, ValueType],
    returnType: LogicalType,
    call(text: unknown, source: unknown): boolean {
      if (typeof text !== "string" || typeof source !== "string" || source.length > 500) return false;
      let pattern = known.get(source);
      if (pattern === undefined) known.set(source, pattern = find(source));
      return pattern !== "none" && pattern.test(text);
    },
  };
}

/** Translates an I-Regexp (RFC 9485) to JavaScript's syntax; undefined for an invalid I-Regexp. */
function iRegexp(source: string): string | undefined {
  let pattern: AST.Pattern;
  try {
    pattern = new RegExpParser().parsePattern(source, 0, source.length, { unicode: true });
  } catch {
    return undefined;
  }
  const dots: number[] = [];
  const isAllowed = (node: AST.Node): boolean => {
    switch (node.type) {
      case "Pattern":
      case "CapturingGroup":
        return !("name" in node && node.name !== null) && node.alternatives.every(isAllowed);
      case "Alternative":
        return node.elements.every(isAllowed);
      case "Quantifier":
        return node.greedy && isAllowed(node.element);
      case "CharacterClass":
        return node.elements.length > 0 && node.elements.every(isAllowed);
      case "CharacterClassRange":
        return isAllowed(node.min) && isAllowed(node.max);
      case "Character":
        return !node.raw.startsWith("\\") || ESCAPED.test(node.raw);
      case "Assertion":
        // RFC 9485 reads `^` and `$` as plain characters, but every implementation treats them as anchors.
        return node.kind === "start" || node.kind === "end";
      case "CharacterSet":
        if (node.kind === "any") dots.push(node.start);
        return node.kind === "any" || CATEGORY.test(node.raw);
      default:
        return false;
    }
  };
  if (!isAllowed(pattern)) return undefined;
  let mapped = "";
  let from = 0;
  for (const at of dots) {
    mapped += `${source.slice(from, at)}[^\\n\\r]`;
    from = at + 1;
  }
  return mapped + source.slice(from);
}
