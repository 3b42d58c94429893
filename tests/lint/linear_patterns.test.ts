import { expect, test } from "vitest";
import { HOME } from "../helpers/app.ts";
import { superlinear } from "./linear_patterns.ts";

// Patterns that the hub once had, and classic examples.
test.each([
  /<a\s[^>]*?href\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s>]+))[^>]*>/gi,
  /<a\s[^>]*?href/,
  /^([1-9]\d*)\.\.(\d+)(?:\s+todo[\s\d]*;?)?\s*(?:#\s*(.*))?$/s,
  /^([\w.-]{1,200}): (\S.*?) *$/,
  /"context"\s*:\s*\{[^]*"num_cpus"/,
  /<([^>]*)>((?:\s*;\s*(?:[^,;"]|"[^"]*")+)*)/g,
  /^\s*\{.*"case"\s*:/m,
  /\/+$/,
  /\s*([,=+])\s*/g,
  /(a+)+$/,
  /^(a|a)*$/,
  /^(?:a|aa)+$/,
  /(?:x.*)y/,
])("the rule finds %s", (pattern) => {
  expect(superlinear(pattern.source, pattern.flags)).toBeTypeOf("string");
});

test.each([
  /(?<!\/)\/+$/,
  /^\s*\{/,
  /"benchmarks"\s*:\s*\[/,
  /<\/a>\s+\d{2}-\w{3}-\d{4} \d{2}:\d{2}\s+(\d+)\s/,
  /\(PRMS:? ([^()]*)\)$/,
  /^.*:/,
  /\s+/g,
  /a.*/,
  /\s*(?:(\d+)|(\w+))/y,
])("the rule accepts %s", (pattern) => {
  expect(superlinear(pattern.source, pattern.flags)).toBeUndefined();
});

test("deno lint refuses such a pattern, and a pattern from a variable, outside the tests", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(
      `${folder}/a.ts`,
      "export const a = /\\s+$/;\nexport const b = new RegExp(a.source);\nexport const c = RegExp(a.source);\n",
    );
    const { stdout } = await new Deno.Command(Deno.execPath(), {
      args: ["lint", "--json", "-c", `${HOME}/deno.json`, `${folder}/a.ts`],
      stdout: "piped",
      stderr: "null",
    }).output();
    const { diagnostics } = JSON.parse(new TextDecoder().decode(stdout)) as {
      diagnostics: { code: string; range: { start: { line: number } } }[];
    };
    expect(diagnostics.map(({ code, range }) => [code, range.start.line])).toEqual([
      ["linear/pattern", 1],
      ["linear/pattern", 2],
      ["linear/pattern", 3],
    ]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

test("each exception to the rule has its reason", async () => {
  const { stdout } = await new Deno.Command("grep", {
    args: [
      "-rn",
      "--include=*.ts",
      "--exclude-dir=node_modules",
      "--exclude-dir=tests",
      "linear/pattern",
      HOME,
    ],
    stdout: "piped",
  }).output();
  const lines = new TextDecoder().decode(stdout).trim().split("\n");
  expect(lines.filter((line) => !/deno-lint-ignore linear\/pattern -- \S+ \S+/.test(line))).toEqual([]);
  // The list only shrinks.
  expect(lines.length).toBeLessThanOrEqual(1);
});
