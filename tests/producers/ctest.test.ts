import { afterAll, beforeAll, expect } from "vitest";
import { type Hub, lines, producersHub, run, type Stored, suiteOf, tally } from "../helpers/producers.ts";
import { hasProgram, requires } from "../helpers/require.ts";

const withCtest = requires(
  "CMake's ctest, and make",
  hasProgram("ctest") && hasProgram("make"),
  "apt-get install cmake make",
);

/** Rounding error in seconds of a printed time, which has two decimals. */
const ROUNDED = 0.006;

let hub: Hub;
let folder: string;
beforeAll(async () => {
  hub = await producersHub();
  folder = await suiteOf("ctest");
});
afterAll(async () => {
  await hub.close();
  await Deno.remove(folder, { recursive: true });
});

interface Printed {
  case: string;
  word: string;
  seconds: number;
}

/** Tests whose program or required file is missing. */
const UNBUILT = ["absent", "missing_file"];

function outcomeOf({ word, case: name }: Printed, isJunit: boolean): string {
  if (/Passed/.test(word)) return "passed";
  if (/Skipped|Not Run/.test(word)) return UNBUILT.includes(name) ? "error" : "skipped";
  return /Timeout/.test(word) && !isJunit ? "timeout" : "failed";
}

withCtest("CTest, Test.xml and JUnit: each test has its printed outcome", async () => {
  const made = await run(folder, "cmake", ["-S", ".", "-B", "build"]);
  expect([made.code, made.err]).toEqual([0, ""]);
  const { out } = await run(`${folder}/build`, "ctest", ["-T", "Test", "--output-junit", "junit.xml"]);
  const printed: Printed[] = [
    // An unmatched regular expression is printed in between, and may contain a line end.
    ...out.matchAll(/^ *\d+\/\d+ Test +#\d+: (.+?) \.{2,}([^]*?) +(\d+\.\d+) sec$/gm),
  ].map(([, name, word, seconds]) => ({ case: name!, word: word!, seconds: Number(seconds) }));
  expect(printed).toHaveLength(Number(/1\/(\d+) Test/.exec(out)![1]));

  const tag = (await Deno.readTextFile(`${folder}/build/Testing/TAG`)).split("\n")[0]!;
  const xml = await hub.push(`${folder}/build/Testing/${tag}/Test.xml`);
  const junit = await hub.push(`${folder}/build/junit.xml`);
  const expected = (isJunit: boolean) =>
    printed.map((one) => ({ case: one.case, outcome: outcomeOf(one, isJunit) }));
  expect(lines(xml.results)).toEqual(lines(expected(false)));
  expect(lines(junit.results)).toEqual(lines(expected(true)));
  expect(xml.counts).toEqual(tally(expected(false).map((one) => one.outcome)));

  // CTest counts tests that could not run as failed, the hub only those with a missing requirement.
  const [, failed, total] = /(\d+) tests failed out of (\d+)/.exec(out)!;
  const broken = printed.filter((one) => /\*\*\*Not Run\s*$/.test(one.word)).map((one) => one.case).sort();
  expect(broken).toEqual(["absent", "missing_file", "needs_setup"]);
  expect(xml.counts.error).toBe(UNBUILT.length);
  expect(xml.counts.failed! + xml.counts.timeout! + broken.length).toBe(Number(failed));
  expect(printed.length - 1).toBe(Number(total));

  const of = (read: Stored, name: string) => read.results.find((one) => one.case === name)!;
  for (const { case: name, seconds, word } of printed) {
    for (const read of [xml, junit]) {
      // Test.xml has no time for these, although CTest may have printed one.
      if (read === xml && /Skipped|Not Run/.test(word)) {
        expect(of(read, name).durationMs, name).toBeNull();
        continue;
      }
      expect(Math.abs((of(read, name).durationMs ?? 0) / 1000 - seconds), name).toBeLessThan(ROUNDED);
    }
  }
  expect(of(xml, "slow").durationMs).toBeGreaterThanOrEqual(100);
  for (const read of [xml, junit]) {
    expect(of(read, "fails").message).toContain("it broke <&> é\non stderr");
    expect(of(read, "bytes").message).toContain("[NON-UTF-8-BYTE-0xE9] [NON-XML-CHAR-0x1B][31mred");
    expect(of(read, "long").message).toContain("line 0 of a long output\nline 1 of");
    expect(of(read, "absent").message).toContain("Unable to find executable");
    expect(of(read, "skipped").message).toContain("SKIP_RETURN_CODE=77");
    expect(of(read, "by_bad_word").message).toContain("Error regular expression found");
    expect(of(read, "passes").message ?? "").toBe("");
  }
  expect(of(xml, "hangs")).toMatchObject({ word: "failed", message: expect.stringContaining("Timeout") });
  expect(of(xml, "crashes").message).toContain("SEGFAULT");
  expect(of(xml, "off").message).toContain("Disabled");
  expect(of(xml, "needs_setup").message).toContain("Failed test dependencies: setup_fails");
  expect(xml.samples).toEqual(new Map([["measured/1/score", 12.5], ["measured/1/old score", 7]]));
});
