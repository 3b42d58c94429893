import { expect, test } from "vitest";
import { detectFormat } from "../../formats/mod.ts";
import { readBack } from "../helpers/formats.ts";

test("CTest: a test whose program is missing is an error; a disabled or self-skipping one is not", async () => {
  const completions = [
    ["Unable to find executable", "error"],
    ["Missing Configuration", "error"],
    ["Required Files Missing", "error"],
    ["Disabled", "skipped"],
    ["SKIP_RETURN_CODE=77", "skipped"],
    ["Fixture dependency failed", "skipped"],
  ];
  const tests = completions.map(([completion]) =>
    `<Test Status="notrun"><Name>${completion}</Name><Results><NamedMeasurement type="text/string"
      name="Completion Status"><Value>${completion}</Value></NamedMeasurement></Results></Test>`
  );
  const xml = await readBack(`<Site><Testing>${tests.join("")}</Testing></Site>`);
  const outcomes = (read: typeof xml) => read.records.map((one) => [one.case, one.outcome, one.word]);
  const expected = completions.map(([completion, outcome]) => [completion, outcome, "notrun"]);
  expect(outcomes(xml)).toEqual(expected);
  expect(xml.records[0]!.message).toBe("Unable to find executable");
  const cases = completions.map(([completion]) =>
    `<testcase name="${completion}" classname="${completion}" time="0" status="notrun"><skipped message="${completion}"/>
      <system-out>more</system-out></testcase>`
  );
  const junit = await readBack(`<testsuite name="(empty)">${cases.join("")}</testsuite>`);
  expect(outcomes(junit)).toEqual(expected);
  expect(junit.records[0]!.message).toBe("Unable to find executable\n\nmore");
});

test("JUnit of Catch2: only failures under [!mayfail] are xfailed, as Catch2 counts them", async () => {
  const may = '<skipped message="TEST_CASE tagged with !mayfail"/>';
  const read = await readBack(`<testsuites><testsuite name="suite" hostname="tbd">
<testcase classname="suite.global" name="may fail" time="0" status="run">${may}
  <failure message="1 == 2" type="CHECK">FAILED:
  CHECK( 1 == 2 )</failure></testcase>
<testcase classname="suite.global" name="may throw" time="0" status="run">${may}<error type="TEST_CASE">x</error></testcase>
<testcase classname="suite.global" name="fails" time="0" status="run"><failure type="CHECK">no</failure></testcase>
<testcase classname="suite.global" name="skips" time="0" status="run"><skipped type="SKIP">SKIPPED</skipped></testcase>
</testsuite></testsuites>`);
  expect(read.records.map((one) => [one.case, one.outcome])).toEqual([
    ["suite.global.may fail", "xfailed"],
    ["suite.global.may throw", "xfailed"],
    ["suite.global.fails", "failed"],
    ["suite.global.skips", "skipped"],
  ]);
  expect(read.records[0]!.message).toContain("CHECK( 1 == 2 )");
});

/** As Mocha 11 writes it. */
const MOCHA = (() => {
  const one = (title: string, more: object) => ({ title, fullTitle: `s é ${title}`, file: "/t.js", ...more });
  const err = { message: "1 == 2", code: "ERR_ASSERTION", stack: "AssertionError: 1 == 2\n    at t.js:2" };
  const passes = [one("a", { duration: 3, currentRetry: 0, speed: "fast", err: {} })];
  const pending = [one("c", { currentRetry: 0, err: {} })];
  const failures = [
    one("b", { duration: 1, currentRetry: 0, err }),
    one('"before all" hook for "g"', { currentRetry: 0, err: { message: "setup broke" } }),
  ];
  return {
    stats: {
      suites: 1,
      tests: 3,
      passes: 1,
      pending: 1,
      failures: 2,
      start: "2026-03-01T10:00:00.000Z",
      end: "2026-03-01T10:00:01.000Z",
      duration: 1000,
    },
    tests: [...passes, ...pending, failures[0]],
    pending,
    failures,
    passes,
  };
})();

test("Mocha's JSON is not taken for lit's", async () => {
  for (const text of [JSON.stringify(MOCHA), JSON.stringify(MOCHA, null, 2)]) {
    expect(detectFormat("r.json", new TextEncoder().encode(text)).name).toBe("mocha");
    const read = await readBack(text, { size: 11 });
    expect(read.rejected).toEqual([]);
    expect(read.records).toEqual([
      { case: "s é c", outcome: "skipped" },
      { case: "s é b", outcome: "failed", durationMs: 1, message: "AssertionError: 1 == 2\n    at t.js:2" },
      { case: 's é "before all" hook for "g"', outcome: "failed", message: "setup broke" },
      { case: "s é a", outcome: "passed", durationMs: 3 },
    ]);
    expect(read.meta).toEqual({
      startedAt: "2026-03-01T10:00:00.000Z",
      finishedAt: "2026-03-01T10:00:01.000Z",
    });
  }
});

test("Mocha's JSON without its lists, as Mochawesome writes it, is refused with the missing list", async () => {
  const { stats } = MOCHA;
  await expect(readBack(JSON.stringify({ stats, results: [] }))).rejects.toThrow(
    "Not a readable Mocha JSON file: it has no list `passes`",
  );
});
