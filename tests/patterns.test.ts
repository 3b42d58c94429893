import fc from "fast-check";
import { expect, test } from "vitest";
import { HubError } from "../errors.ts";
import { compilePattern, patternFault } from "../patterns.ts";
import { scrapers } from "../scrapers/mod.ts";
import { cpuMs } from "./helpers/cpu.ts";

test("a pattern matches as JavaScript's own would, with its named groups", () => {
  const pattern = compilePattern("(?<changelist>\\d+)/(?<os>\\w+)/.*\\.xml");
  expect(pattern.test("nightly/1080/linux/a.xml")).toBe(true);
  expect(pattern.groups("nightly/1080/linux/a.xml")).toEqual({ changelist: "1080", os: "linux" });
  expect(pattern.groups("nightly/1080/linux/a.txt")).toBeUndefined();
  expect(compilePattern("(?<a>x)|(?<b>y)").groups("y")).toEqual({ a: undefined, b: "y" });
  expect(compilePattern("x").groups("x")).toEqual({});
  expect(compilePattern("^.\\u{1F600}[😀-😂]$").test("😀😀😁")).toBe(true);
  expect(compilePattern("(?<größe>\\d)(?<__proto__>z)").groups("1z")).toMatchObject({ größe: "1" });
});

test.each([
  ["(?=a)b", 'has a lookahead, "(?=a)"'],
  ["a(?!b)", 'has a lookahead, "(?!b)"'],
  ["(?<=a)b", 'has a lookbehind, "(?<=a)"'],
  ["(?<!a)b", 'has a lookbehind, "(?<!a)"'],
  ["(a)\\1", 'has a backreference, "\\\\1"'],
  ["(?<n>a)\\k<n>", 'has a backreference, "\\\\k<n>"'],
  ["(?s:a)", "has flags of a part"],
  ["(", "is not a regular expression: "],
  ["(?:a{1,100}){1,100}", "is too long: it has more than 1000 steps"],
  [`${"a{0,1000}".repeat(40)}`, "is too long: it has more than 1000 steps"],
])("a feature that cannot run in linear time is rejected by name: %s", (source, reason) => {
  expect(() => compilePattern(source)).toThrow(HubError);
  expect(patternFault(source)).toContain(`The pattern ${JSON.stringify(source)} ${reason}`);
});

const CI = { url: "https://ci.example" };
test.each([
  ["files", "pattern", { url: "file:///x" }],
  ["jenkins", "artifacts", { ...CI, job: "a" }],
  ["github", "artifacts", { ...CI, repository: "a/b" }],
  ["buildbot", "logs", { ...CI, builder: "a" }],
])("the setting %s.%s rejects such a pattern when it is saved", (tag, name, rest) => {
  const parse = (pattern: string) =>
    scrapers.get(tag)!.settings.safeParse({ ...rest, [name]: pattern }).error?.issues;
  expect(parse("(?<changelist>\\d+).*\\.xml")).toBeUndefined();
  expect(parse("(?<changelist>\\d+)(?=x)")).toMatchObject([
    { path: [name], message: expect.stringContaining('has a lookahead, "(?=x)"') },
  ]);
});

test("a pattern without its named group is rejected, also if its text only looks like one", () => {
  expect(patternFault("(?<label>\\w+)", ["changelist", "label"])).toBeUndefined();
  const fault = "lacks the named group (?<changelist>…)";
  expect(patternFault("\\d+", ["changelist"])).toContain(fault);
  expect(patternFault("[(?<changelist>]", ["changelist"])).toContain(fault);
});

/**
 * Patterns over few characters. Groups are not repeated, nor is what may match nothing: there the two engines differ by design. Texts are of the BMP, since V8
 * lets `\B` match within a surrogate pair; `^` and `$` stand at ends, since in V8 `/(?:[^]*?a^|)/u` finds nothing.
 */
const pattern = fc.letrec<{ one: string; atom: string; sequence: string; any: string }>((tie) => ({
  one: fc.constantFrom(
    ...["a", "b", "0", "\\n", "\\/", " ", "\\u2028", "\\u{1F600}", "\\x41"],
    ...[".", "\\d", "\\D", "\\w", "\\W", "\\s", "\\S", "[^]", "\\p{L}", "\\P{Lu}", "\\p{Script=Greek}"],
    ...["[ab]", "[^ab]", "[\\s0]", "[^\\s]", "[\\S]", "[\\W\\d]", "[a-c\\-]", "[\\b]", "(?i:A)"],
  ),
  atom: fc.oneof(
    { weight: 4, arbitrary: tie("one") },
    tie("any").map((inner) => `(?:${inner})`),
  ),
  sequence: fc.tuple(
    fc.constantFrom("", "", "\\b"),
    fc.array(
      fc.oneof(
        { weight: 3, arbitrary: tie("atom") },
        fc.tuple(tie("atom"), fc.constantFrom("*", "+", "?", "*?", "+?", "??", "{2}", "{1,3}", "{2,}?"))
          .map(([atom, times]) => mayBeEmpty(atom) ? atom : atom + times),
      ),
      { maxLength: 4 },
    ),
    fc.constantFrom("", "", "\\B"),
  ).map(([begin, parts, end]) => begin + parts.join("") + end),
  any: fc.array(tie("sequence"), { minLength: 1, maxLength: 3 }).map((parts) => parts.join("|")),
}));

/** Whether a part may match the empty text somewhere. */
function mayBeEmpty(part: string): boolean {
  return new RegExp(`^(?:${part.replaceAll(/(?<!\[)\\[bB]/g, "")})$`, "u").test("");
}

test("where a repeated part may match nothing, the first of its alternatives that matches ends the repetition", () => {
  expect(compilePattern("(?<found>(?:|a)*)").groups("a")?.found).toBe("");
  expect(compilePattern("(?<found>(?:a|)*)").groups("a")?.found).toBe("a");
  expect([mayBeEmpty("(?:|a)"), mayBeEmpty("(?:\\b)"), mayBeEmpty("[\\b]"), mayBeEmpty("a")]).toEqual([
    true,
    true,
    false,
    false,
  ]);
});

test("random patterns match random texts as in JavaScript's engine", () => {
  const seed = Math.trunc(Math.random() * 2 ** 31);
  const character = fc.constantFrom(..."abA0c-/\n\r \u2028\u00a0α\b");
  const text = fc.array(character, { maxLength: 8 }).map((parts) => parts.join(""));
  const before = fc.constantFrom("", "^", "a*", "[^]*?");
  const after = fc.constantFrom("", "$");
  try {
    fc.assert(
      fc.property(before, pattern.any, after, fc.array(text, { maxLength: 20 }), (begin, any, end, texts) => {
        const source = `${begin}(?<found>${any})${end}`;
        const native = new RegExp(source, "u");
        const ours = compilePattern(source);
        for (const one of texts) {
          const place = `${source} on ${JSON.stringify(one)}`;
          expect(ours.test(one), place).toBe(native.test(one));
          expect(ours.groups(one)?.found, place).toBe(native.exec(one)?.groups?.found);
        }
      }),
      { seed, numRuns: 500 },
    );
  } catch (error) {
    throw new Error(`seed ${seed}`, { cause: error });
  }
});

test.each([
  "(a+)+$",
  "^(?:a|aa)+$",
  "(a*)*b",
  "\\s+$",
  "(.*)*z",
  "a.*a.*a.*z",
  "(?:a?){50}a{50}$",
  "[ab]*a[ab]{40}$",
])(
  "a pattern that hangs JavaScript's engine runs in linear time: %s",
  async (source) => {
    const compiled = compilePattern(source);
    const least = async (length: number) => {
      const texts = ["a".repeat(length) + "!", " ".repeat(length) + "!", "ab".repeat(length / 2) + "z"];
      let ms = Infinity;
      for (let tries = 0; tries < 3; tries++) {
        ms = Math.min(ms, await cpuMs(() => texts.forEach((text) => compiled.groups(text))));
      }
      return ms;
    };
    await least(1 << 10);
    const short = await least(1 << 14);
    // 16 times the text; what tries each beginning with each end takes 256 times as long.
    expect(await least(1 << 18)).toBeLessThan(80 * Math.max(short, 5));
  },
);
