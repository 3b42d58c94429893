import { expect, test } from "vitest";

const home = import.meta.dirname!.replace(/\/tests\/formats$/, "");
/** What the example's parser and test import, and what these import. */
const COPIED = ["formats", "schemas", "errors.ts", "turns.ts", "untyped.d.ts", "deno.json", "deno.lock"];
const CONFIG = `import { defineConfig } from "vitest/config";
export default defineConfig({ test: { include: ["tests/**/*.test.ts"], pool: "forks" } });`;

interface Example {
  parser: string;
  registration: string;
  test: string;
}

/** The three steps that docs/how-to/write-a-format.md shows. */
async function example(): Promise<Example> {
  const text = await Deno.readTextFile(`${home}/docs/how-to/write-a-format.md`);
  const [parser, test] = [...text.matchAll(/```ts\n(.*?)```/gs)].map(([, code]) => code!);
  return { parser: parser!, registration: /```diff\n(.*?)```/s.exec(text)![1]!, test: test! };
}

/** The source with the hunks of a diff applied; each must stand in it once. */
function applyDiff(source: string, diff: string): string {
  return diff.split(/^@@\n/m).reduce((text, hunk) => {
    const lines = hunk.trimEnd().split("\n");
    const before = lines.filter((line) => !line.startsWith("+")).map((line) => line.slice(1)).join("\n");
    expect(text.split(before).length, `${before} in formats/mod.ts`).toBe(2);
    return text.replace(before, () => lines.map((line) => line.slice(1)).join("\n"));
  }, source);
}

async function run(folder: string, ...args: string[]) {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args,
    cwd: folder,
    env: { NO_COLOR: "1" },
  }).output();
  const decoder = new TextDecoder();
  return { success, output: decoder.decode(stdout) + decoder.decode(stderr) };
}

/** Takes the three steps in a copy of the project, then checks types and runs the test. */
async function take({ parser, registration, test }: Example) {
  const folder = await Deno.realPath(await Deno.makeTempDir());
  try {
    const names = COPIED.map((name) => `${home}/${name}`);
    const { success } = await new Deno.Command("cp", { args: ["-R", ...names, folder] }).output();
    expect(success).toBe(true);
    await Deno.symlink(`${home}/node_modules`, `${folder}/node_modules`);
    await Deno.mkdir(`${folder}/tests/formats`, { recursive: true });
    await Deno.writeTextFile(`${folder}/vitest.config.ts`, CONFIG);
    await Deno.writeTextFile(`${folder}/formats/checker.ts`, parser);
    await Deno.writeTextFile(`${folder}/tests/formats/checker.test.ts`, test);
    const list = `${folder}/formats/mod.ts`;
    await Deno.writeTextFile(list, applyDiff(await Deno.readTextFile(list), registration));
    const types = await run(folder, "check", "formats/mod.ts", "tests/formats/checker.test.ts");
    if (!types.success) return types;
    const { imports } = JSON.parse(await Deno.readTextFile(`${home}/deno.json`)) as {
      imports: { vitest: string };
    };
    return await run(folder, "run", "-A", imports.vitest, "run", "--configLoader", "native");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

test("the format that the docs show compiles, is registered, and passes its test", async () => {
  const { success, output } = await take(await example());
  expect(success, output).toBe(true);
  expect(output).toMatch(/Tests +4 passed/);
});

test("the docs' test fails where the parser is wrong", async () => {
  const steps = await example();
  const { success, output } = await take({ ...steps, parser: steps.parser.replace('"passed"', '"skipped"') });
  expect(success).toBe(false);
  expect(output).toContain("parser/empty");
});
