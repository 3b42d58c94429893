import fc from "fast-check";
import { expect, test } from "vitest";
import { compareCase } from "../../analysis/compare.ts";
import { findCulprit } from "../../analysis/culprit.ts";
import { verdictOf } from "../../analysis/verdict.ts";
import { OUTCOMES } from "../../schemas/outcome.ts";

const history = fc.uniqueArray(
  fc.record({
    changelist: fc.integer({ min: 1, max: 200 }),
    outcomes: fc.array(fc.constantFrom(...OUTCOMES), { maxLength: 3 }),
  }),
  { selector: (point) => point.changelist, maxLength: 30 },
);

test("a culprit's bounds are good, bad and good again; other verdicts between them set no bound", () => {
  fc.assert(
    fc.property(history, (points) => {
      const verdicts = new Map(points.map((point) => [point.changelist, verdictOf(point.outcomes)]));
      const numbers = [...verdicts.keys()].sort((a, b) => a - b);
      const bad = numbers.filter((number) => verdicts.get(number) === "bad");
      const found = findCulprit(points);
      if (found === undefined) {
        expect(bad).toEqual([]);
        return;
      }
      const { lastGood, firstBad, fixedAt, undecided } = found;
      const newestBad = bad.at(-1)!;
      expect(verdicts.get(firstBad)).toBe("bad");
      const goodBefore = numbers.filter((number) => number < newestBad && verdicts.get(number) === "good");
      expect(lastGood).toBe(goodBefore.at(-1) ?? null);
      expect(firstBad).toBe(bad.find((number) => number > (lastGood ?? 0)));
      expect(fixedAt).toBe(
        numbers.find((number) => number > newestBad && verdicts.get(number) === "good") ?? null,
      );
      expect(undecided).toEqual(
        lastGood === null ? null : numbers.filter((number) => number > lastGood && number < firstBad),
      );
    }),
    { numRuns: 500 },
  );
});

test("a lab error is never a failure and never sets a bound", () => {
  expect(verdictOf(["lab_error", "passed"])).toBe("good");
  expect(findCulprit([{ changelist: 1, outcomes: ["passed"] }, { changelist: 2, outcomes: ["lab_error"] }]))
    .toBeUndefined();
});

test.each(
  [
    [["passed"], ["failed"], "newlyFailing"],
    [["failed"], ["passed"], "fixed"],
    [["failed"], ["error"], "stillFailing"],
    [["passed"], ["passed", "failed"], "flaky"],
    [["passed"], ["lab_error"], "labErrors"],
    [["passed"], [], "missing"],
    [[], ["failed"], "new"],
    [["passed"], ["xfailed"], undefined],
    [["skipped"], ["failed"], "newlyFailing"],
  ] as const,
)("%j then %j is %s", (base, head, kind) => {
  expect(compareCase(base, head).kind).toBe(kind);
});
