import { compareCase } from "../analysis/compare.ts";
import { findCulprit } from "../analysis/culprit.ts";
import { listBadHistories, listBetween } from "../db/analysis/answers.ts";
import { type ComparedCaseRow, listComparedCases, listOutcomePairs } from "../db/analysis/compare.ts";
import { decodeCursor, encodeCursor, toPage } from "../db/core/cursor.ts";
import { listResults } from "../db/results/result_list.ts";
import { listSummary } from "../db/results/results.ts";
import {
  COMPARE_KINDS,
  type CompareItem,
  type CompareKind,
  comparePage,
  type CompareQuery,
  compareQuery,
  culpritPage,
  type CulpritQuery,
  culpritQuery,
} from "../schemas/answer.ts";
import {
  pushAnswer,
  pushInput,
  resultInRunPage,
  resultList,
  summaryList,
  summaryPage,
} from "../schemas/result.ts";
import type { Context } from "./context.ts";
import { pushRecords } from "./push.ts";
import { labellingProcedure, procedure, router } from "./trpc.ts";
import { readList } from "./read_list.ts";
import { outputSchema } from "./output_schema.ts";

export const resultsRouter = router({
  list: procedure
    .meta({
      method: "GET",
      path: "/api/results",
      summary: "List the results of a test by changelist, newest first",
      role: "anyone",
    })
    .input(resultList)
    .output(outputSchema(resultInRunPage))
    .query(({ ctx, input }) =>
      readList(ctx, {
        list: "results",
        input,
        askVersion: () => ctx.versions.results(input.test),
        read: () => listResults(ctx.sql, input),
      })
    ),

  push: labellingProcedure
    .meta({
      method: "POST",
      path: "/api/results",
      summary: "Push a run with its results, as JSON or as result files",
      role: "ingester",
      statuses: [201, 200],
    })
    .input(pushInput)
    .output(outputSchema(pushAnswer))
    .mutation(({ ctx, input: { results, ...head } }) => pushRecords(ctx, head, results)),

  summary: procedure
    .meta({
      method: "GET",
      path: "/api/results/summary",
      summary: "Count outcomes at each changelist of a test",
      role: "anyone",
      cost: 10,
    })
    .input(summaryList)
    .output(outputSchema(summaryPage))
    .query(({ ctx, input }) => listSummary(ctx.sql, input)),

  culprit: procedure
    .meta({
      method: "GET",
      path: "/api/results/culprit",
      summary:
        "List the cases that are or were bad, the changelists between which each broke, and the builds available in between",
      role: "anyone",
      cost: 10,
    })
    .input(culpritQuery)
    .output(outputSchema(culpritPage))
    .query(({ ctx, input }) => culprits(ctx, input)),

  compare: procedure
    .meta({
      method: "GET",
      path: "/api/results/compare",
      summary: "Compare a test's outcomes at two changelists",
      role: "anyone",
      cost: 10,
    })
    .input(compareQuery)
    .output(outputSchema(comparePage))
    .query(({ ctx, input }) => compare(ctx, input)),
});

async function culprits(ctx: Context, input: CulpritQuery) {
  const after = input.cursor === undefined ? undefined : decodeCursor(input.cursor, ["number", "string"]);
  const found = await listBadHistories(ctx.sql, input, after);
  const items = found.items.flatMap(({ points, ...item }) => {
    const culprit = findCulprit(points);
    return culprit === undefined ? [] : [{ case: item.case, environment: item.environment, ...culprit }];
  });
  const between = await listBetween(ctx.sql, found.packageId, items);
  const last = found.items.at(-1);
  return {
    items: items.map(({ undecided: _undecided, ...item }, at) => ({
      ...item,
      between: between[at]!.known,
      available: between[at]!.available,
    })),
    nextCursor: found.hasMore && last !== undefined
      ? encodeCursor([last.caseId, last.environmentText])
      : null,
    package: found.package,
  };
}

async function compare(ctx: Context, input: CompareQuery) {
  const [after] = input.cursor === undefined ? [0] : decodeCursor(input.cursor, ["number"]);
  const { pairs, ...runs } = await listOutcomePairs(ctx.sql, input);
  const counts = Object.fromEntries(COMPARE_KINDS.map((kind) => [kind, 0])) as Record<CompareKind, number>;
  const wanted = pairs.filter((pair) => {
    const { kind } = compareCase(pair.base, pair.head);
    if (kind !== undefined) counts[kind] += pair.cases;
    return kind !== undefined && (input.kind ?? kind) === kind;
  });
  // A run that failed in the lab has no cases, so count the run.
  counts.labErrors += runs.labErrorRuns.head;
  const rows = await listComparedCases(ctx.sql, input, { pairs: wanted, after, limit: input.limit + 1 });
  const page = toPage(rows, input.limit, toCompareItem, (row) => [row.caseId]);
  return { ...page, counts, ...runs };
}

function toCompareItem({ case: name, base, head, waived }: ComparedCaseRow): CompareItem {
  const { kind, ...verdicts } = compareCase(base, head);
  return { case: name, kind: kind!, ...verdicts, waived };
}
