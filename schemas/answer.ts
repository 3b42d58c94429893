import { z } from "zod";
import { changelist, changelistInput, pageInput, pageOf, text } from "./common.ts";
import { axisName, environmentFilter, range } from "./run.ts";

export const culpritQuery = z.object({
  test: z.string().min(1).max(200),
  case: text(1000).optional(),
  axis: axisName,
  from: range.from,
  to: range.to,
  environment: environmentFilter.optional(),
  package: z.string().max(300).optional().meta({
    description: "Compares runs of this package only (default: the package with the newest run)",
  }),
  ...pageInput,
});
export type CulpritQuery = z.infer<typeof culpritQuery>;

const culpritItem = z.object({
  case: z.string(),
  environment: z.record(z.string(), z.string()),
  lastGood: changelist.nullable().meta({
    description: "Last good changelist before firstBad; null if there is none",
  }),
  firstBad: changelist,
  fixedAt: changelist.nullable().meta({
    description: "First good changelist after the last bad one; null while the case is bad",
  }),
  between: z.number().int().nullable().meta({
    description:
      "Number of changelists between lastGood and firstBad that have a build of the package, gone or not, or a run without a verdict; null if lastGood is null",
  }),
  available: z.array(changelist).meta({
    description: "Changelists in between whose build is still available (first 1000)",
  }),
});
export type CulpritItem = z.infer<typeof culpritItem>;
export const culpritPage = pageOf(culpritItem).extend({
  package: z.string().nullable().meta({ description: "The package whose runs were compared" }),
});

export const COMPARE_KINDS = [
  "newlyFailing",
  "fixed",
  "stillFailing",
  "flaky",
  "labErrors",
  "missing",
  "new",
] as const;
export type CompareKind = (typeof COMPARE_KINDS)[number];
export const compareQuery = z.object({
  test: z.string().min(1).max(200),
  axis: axisName,
  base: changelistInput,
  head: changelistInput,
  environment: environmentFilter.optional(),
  kind: z.enum(COMPARE_KINDS).optional().meta({ description: "Only items of this kind" }),
  ...pageInput,
});
export type CompareQuery = z.infer<typeof compareQuery>;

const verdict = z.enum(["good", "bad", "flaky", "silent", "lab_error", "missing"]);
const compareItem = z.object({
  case: z.string(),
  kind: z.enum(COMPARE_KINDS),
  base: verdict,
  head: verdict,
  waived: z.boolean().meta({ description: "Whether an active waiver covers the case at head" }),
});
export type CompareItem = z.infer<typeof compareItem>;
export const comparePage = pageOf(compareItem).extend({
  counts: z.object(
    Object.fromEntries(COMPARE_KINDS.map((kind) => [kind, z.number().int()])) as Record<
      CompareKind,
      z.ZodNumber
    >,
  ),
  runs: z.object({ base: z.number().int(), head: z.number().int() }),
  labErrorRuns: z.object({ base: z.number().int(), head: z.number().int() }),
});
