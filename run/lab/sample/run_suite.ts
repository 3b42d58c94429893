import { pathToFileURL } from "node:url";
import type { Program } from "./suite.ts";

/** Runs the suite on a build: `run_suite.ts <compiler.js of the build> <suite.ts>`. Writes JUnit to results.xml. */
const [compilerPath, suitePath] = Deno.args as [string, string];
const { compile } = await import(pathToFileURL(compilerPath).href) as {
  compile(source: string, parameters: string[]): Uint8Array<ArrayBuffer>;
};
const { suite } = await import(pathToFileURL(suitePath).href) as { suite: Program[] };

function outcomeOf({ source, parameters = {} }: Program): number | "trap" | "refused" {
  let bytes: Uint8Array<ArrayBuffer>;
  try {
    bytes = compile(source, Object.keys(parameters));
  } catch {
    return "refused";
  }
  const { main } = new WebAssembly.Instance(new WebAssembly.Module(bytes)).exports as {
    main(...values: number[]): number;
  };
  try {
    return main(...Object.values(parameters));
  } catch {
    return "trap";
  }
}

function escapeXml(text: string): string {
  return text.replace(/[<>&"]/g, (char) => `&#${char.charCodeAt(0)};`);
}

/** A flaky case: its outcome depends on the job's serial. */
function flaky(): { got: number; expected: number } {
  const serial = Number(Deno.env.get("LAB_SERIAL") ?? 0);
  const late = Math.imul(serial ^ 0x5bd1e995, 0x27d4eb2d) >>> 0;
  return { got: late % 10 < 3 ? 1 : 0, expected: 0 };
}

const cases: string[] = [];
let failures = 0;
function report(name: string, seconds: number, failure: string | undefined): void {
  const [group, rest] = [name.slice(0, name.indexOf(".")), name.slice(name.indexOf(".") + 1)];
  const open = `  <testcase classname="calc.${group}" name="${escapeXml(rest)}" time="${seconds.toFixed(6)}"`;
  if (failure !== undefined) failures++;
  cases.push(
    failure === undefined ? `${open}/>` : `${open}><failure message="${escapeXml(failure)}"/></testcase>`,
  );
}

for (const program of suite) {
  const started = performance.now();
  const got = outcomeOf(program);
  const failure = got === program.expected
    ? undefined
    : `${program.source} gave ${got}, not ${program.expected}`;
  report(program.name, (performance.now() - started) / 1000, failure);
}
const { got, expected } = flaky();
report("scheduler.flaky", 0, got === expected ? undefined : `came ${got} ticks late`);

const attributes = `name="calc" tests="${cases.length}" failures="${failures}" timestamp="${
  new Date().toISOString()
}"`;
await Deno.writeTextFile(
  "results.xml",
  `<?xml version="1.0" encoding="UTF-8"?>\n<testsuite ${attributes}>\n${cases.join("\n")}\n</testsuite>\n`,
);
console.log(`${cases.length - failures} passed, ${failures} failed`);
