import type { ResultRecord } from "../../schemas/record.ts";
import { caseName, excerpt, wordOf } from "../../formats/text.ts";

/** Words of steps that make the product. */
const MAKES = new Set(
  ("compile compiles compiling compilation build builds building rebuild make cmake ninja configure configuring " +
    "bootstrap link linking msbuild bazel").split(" "),
);
/** Words of steps that do something else with what is built, or before. */
const OTHER = new Set(
  ("test tests testing check checks lit bench benchmark benchmarks suite verify lint initialize checkout clone fetch download " +
    "setup set environment env image docker container containers upload publish deploy archive report notify")
    .split(
      " ",
    ),
);

/**
 * What a step, stage or job does, by the words of its name: one that makes the product and fails is the product's fault.
 * `names`: the more exact ones first; the first that says anything stands.
 */
export function isCompileStep(...names: (string | null | undefined)[]): boolean {
  const kinds = names.map((name) => kindOf(name ?? ""));
  return kinds.find((kind) => kind !== undefined) === "compile";
}

function kindOf(name: string): "compile" | "other" | undefined {
  const words = name.slice(0, 500).replace(/(\p{Ll})(\p{Lu})/gu, "$1 $2").toLowerCase().split(/[^\p{L}]+/u);
  if (words.some((word) => OTHER.has(word))) return "other";
  return words.some((word) => MAKES.has(word)) ? "compile" : undefined;
}

/** A failed step that makes the product, as a case: it did not build. */
export function compileResult(
  name: string,
  { message = "", word, durationMs }: { message?: string | null; word?: string; durationMs?: number } = {},
): ResultRecord {
  const text = excerpt(message ?? "");
  return {
    case: caseName(name),
    outcome: "error",
    ...(word === undefined ? {} : { word: wordOf(word) || "(none)" }),
    ...(durationMs !== undefined && durationMs >= 0 ? { durationMs } : {}),
    ...(text === undefined ? {} : { message: text }),
  };
}
