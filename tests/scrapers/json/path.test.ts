import { jsonpath } from "json-p3";
import { expect, test } from "vitest";
import { compilePath } from "../../../scrapers/json/path.ts";
import { cpuMs } from "../../helpers/cpu.ts";

const TEXTS = [
  "",
  "ab",
  "aab",
  "a.b",
  "a\u2028b",
  "a\r",
  "a\n",
  "Ab",
  "^ab",
  "ab$",
  "äb",
  "a-b",
  "1974-05-11",
  "d",
];
const PATTERNS = [
  ...["a.*", "a+b", ".", "(ab|d)", "[a-c]+", "[^b]b", "a\\.b", "a\\-b", "\\p{Lu}b", "\\P{Lu}+", "[\\p{L}]+"],
  ...["a{2}b", "a{1,2}b", "a{1,}b", "1974-05-..", "a\\n", "[.b]+", "\\\\", "", "(|a)b", "[a\\-]+b"],
  // Invalid I-Regexps match nothing.
  ...[
    "^ab",
    "ab$",
    "\\d+",
    "\\w",
    "(?:a)b",
    "a+?b",
    "(?=a)ab",
    "(a)\\1b",
    "[\\d]+",
    "\\x61b",
    "(",
    "(?<n>a)b",
  ],
  ...["\\bab", "\\p{Script=Greek}", "\\p{Letter}", "\\u0061b", "\\0", "[]"],
];

test.each(["match", "search"])("%s finds what the library's own does", (name) => {
  for (const pattern of PATTERNS) {
    const path = `$[?${name}(@, ${JSON.stringify(pattern)})]`;
    expect(compilePath(path).query(TEXTS).values(), path).toEqual(jsonpath.query(path, TEXTS).values());
  }
  const data = [{ text: "ab", pattern: "a." }, { text: "ab", pattern: "x" }, { text: 1, pattern: "1" }, {
    text: "a",
  }];
  const path = `$[?${name}(@.text, @.pattern)]`;
  expect(compilePath(path).query(data).values()).toEqual([data[0]]);
});

test("a path whose pattern has too large a count is refused; such a pattern in the data matches nothing", () => {
  expect(() => compilePath('$[?match(@, "(a{1,100}){1,100}")]')).toThrow(
    "is too long: it has more than 1000 steps",
  );
  expect(compilePath("$[?match(@, $[0])]").query(["(a{1,100}){1,100}", "aa"]).values()).toEqual([]);
});

test.each(['"(a+)+b"', '"a*a*a*b"', "$[1]"])("the pattern %s does not hold up the hub", async (pattern) => {
  const path = compilePath(`$[?search(@, ${pattern})]`);
  const endless = "a".repeat(1 << 20);
  const ms = await cpuMs(() => expect(path.query([endless, "(a+)+b"]).values()).not.toContain(endless));
  // The library's own engine would not end.
  expect(ms).toBeLessThan(10_000);
});
