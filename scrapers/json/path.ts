import { type AST, RegExpParser } from "@eslint-community/regexpp";
import { jsonpath } from "json-p3";
import { LRUCache } from "lru-cache";
import { HubError } from "../../errors.ts";
import { compilePattern, type Pattern } from "../../patterns.ts";

/** What I-Regexp escapes: characters that mean something, and three white ones. */
const ESCAPED = /^\\[()*+\-.?[\\\]^nrt{|}]$/;
/** What it knows of properties: general categories, by their short names. */
const CATEGORY = /^\\[pP]\{[A-Z][a-z]?\}$/;

class Environment extends jsonpath.JSONPathEnvironment {
  override setupFilterFunctions(): void {
    super.setupFilterFunctions();
    this.functionRegister.set(
      "match",
      matcher((source) =>
        // As json-p3 does, where a pattern has anchors of its own.
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

/** A JSONPath (RFC 9535) whose `match` and `search` take time linear in the text. @throws what says why it is none */
export function compilePath(text: string): ReturnType<typeof environment.compile> {
  return environment.compile(text);
}

/** RFC 9535, 2.4.6 and 2.4.7: what is no text, or no I-Regexp, does not match. The pattern may stand in the data. */
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

/** An I-Regexp (RFC 9485) in JavaScript's syntax; undefined where it is none. */
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
        // Characters like others, which every implementation reads as anchors.
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
