import { expect, test } from "vitest";
import { HOME } from "./app.ts";
import { run } from "./producers.ts";

interface Report {
  testResults: { assertionResults: { title: string; status: string; failureMessages: string[] }[] }[];
}

/** Runs the tests of `tests/fixtures/require`: every form of a test, with and without its part. */
async function outcomes(requireAll: string): Promise<Record<string, string[]>> {
  const { imports } = JSON.parse(await Deno.readTextFile(`${HOME}/deno.json`));
  const file = await Deno.makeTempFile({ prefix: "chub-require-" });
  const { err } = await run(HOME, Deno.execPath(), [
    ...`run -A ${imports.vitest} run --configLoader native --cache=false --fsModuleCache=false --reporter=json`
      .split(" "),
    ...["--root", `${HOME}/tests/fixtures/require`, `--outputFile.json=${file}`],
  ], { CHUB_REQUIRE_ALL: requireAll });
  const text = await Deno.readTextFile(file);
  await Deno.remove(file);
  expect(text, err).not.toBe("");
  const tests = (JSON.parse(text) as Report).testResults.flatMap((one) => one.assertionResults);
  return Object.fromEntries(
    tests.map((one) => [one.title, [one.status, ...one.failureMessages.map((text) => text.split("\n")[0]!)]]),
  );
}

const FORMS = [
  "plain",
  "with options",
  "each 1 and 2",
  "each 2 and 3",
  "each of x",
  "each of y",
  "rows",
  "for 5",
];
const present = FORMS.map((form) => [`present: ${form}`, ["passed"]]);
const missing = (outcome: string[]) =>
  FORMS.map((form) => [`missing: ${form} [needs a part: install it]`, outcome]);

test("tests without a part they need are skipped, and each name states the part", async () => {
  expect(await outcomes("0")).toEqual(Object.fromEntries([...missing(["skipped"]), ...present]));
});

test("with CHUB_REQUIRE_ALL=1 tests without a part they need fail, and state the part", async () => {
  expect(await outcomes("1")).toEqual(
    Object.fromEntries([...missing(["failed", "Error: needs a part: install it"]), ...present]),
  );
});
