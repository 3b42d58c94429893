import type { ResultRecord } from "../../schemas/record.ts";
import { caseName, excerpt, wordOf } from "../../formats/text.ts";

/** Words in the names of compile steps. */
const COMPILE_WORDS = new Set(
  ("compile compiles compiling compilation build builds building rebuild make cmake ninja configure configuring " +
    "bootstrap link linking msbuild bazel").split(" "),
);
/** Words in the names of other steps, before or after the build. */
const OTHER_WORDS = new Set(
  ("test tests testing check checks lit bench benchmark benchmarks suite verify lint initialize checkout clone fetch download " +
    "setup set environment env image docker container containers upload publish deploy archive report notify")
    .split(
      " ",
    ),
);

/**
 * Whether a step, stage or job compiles the product, judged by the words of its name. If such a step fails, the product is
 * at fault. `names`: the most specific first; the first name with a known word decides.
 */
export function isCompileStep(...names: (string | null | undefined)[]): boolean {
  const kinds = names.map((name) => kindOf(name ?? ""));
  return kinds.find((kind) => kind !== undefined) === "compile";
}

function kindOf(name: string): "compile" | "other" | undefined {
  const words = name.slice(0, 500).replace(/(\p{Ll})(\p{Lu})/gu, "$1 $2").toLowerCase().split(/[^\p{L}]+/u);
  if (words.some((word) => OTHER_WORDS.has(word))) return "other";
  return words.some((word) => COMPILE_WORDS.has(word)) ? "compile" : undefined;
}

/** A failed compile step as a case with the outcome `error`. */
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
