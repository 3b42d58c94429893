import { compareCase } from "../answers/compare.ts";
import { findCulprit } from "../answers/culprit.ts";
import { listAvailableBetween, listBadHistories } from "../db/answers.ts";
import { type ComparedCaseRow, listComparedCases, listOutcomePairs } from "../db/compare.ts";
import { decodeCursor, encodeCursor, toPage } from "../db/cursor.ts";
import { pushRun } from "../db/pushes.ts";
import { listResults, listSummary } from "../db/results.ts";
import { HubError } from "../errors.ts";
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
import { type ResultRecord, resultRecord } from "../schemas/record.ts";
import {
  type PushAnswer,
  pushAnswer,
  type PushHead,
  pushInput,
  resultInRunPage,
  resultList,
  summaryList,
  summaryPage,
} from "../schemas/result.ts";
import { authorOf, type Context } from "./context.ts";
import { procedure, router } from "./trpc.ts";

const MAX_REJECTED = 1000;

export const resultsRouter = router({
  list: procedure
    .meta({
      method: "GET",
      path: "/api/results",
      summary: "Results of a test by changelist, newest first",
      role: "anyone",
    })
    .input(resultList)
    .output(resultInRunPage)
    .query(({ ctx, input }) => listResults(ctx.sql, input)),

  push: procedure
    .meta({
      method: "POST",
      path: "/api/results",
      summary: "Push a run with its results, as JSON or as a result file",
      role: "ingester",
      statuses: [201, 200],
    })
    .input(pushInput)
    .output(pushAnswer)
    .mutation(({ ctx, input }) => {
      const { results, ...head } = input;
      const checked = checkResults(results);
      return storePush(ctx, head, checked);
    }),

  summary: procedure
    .meta({
      method: "GET",
      path: "/api/results/summary",
      summary: "Counts by outcome for each changelist of a test",
      role: "anyone",
    })
    .input(summaryList)
    .output(summaryPage)
    .query(({ ctx, input }) => listSummary(ctx.sql, input)),

  culprit: procedure
    .meta({
      method: "GET",
      path: "/api/results/culprit",
      summary:
        "For each case that is or was bad: between which changelists it broke, and which builds in between exist",
      role: "anyone",
    })
    .input(culpritQuery)
    .output(culpritPage)
    .query(({ ctx, input }) => culprits(ctx, input)),

  compare: procedure
    .meta({
      method: "GET",
      path: "/api/results/compare",
      summary: "What changed for a test between two changelists",
      role: "anyone",
    })
    .input(compareQuery)
    .output(comparePage)
    .query(({ ctx, input }) => compare(ctx, input)),
});

export interface CheckedResults {
  results: ResultRecord[];
  rejected: PushAnswer["rejected"];
  rejectedCount: number;
}

function checkResults(records: unknown[]): CheckedResults {
  const checked: CheckedResults = { results: [], rejected: [], rejectedCount: 0 };
  for (const [at, record] of records.entries()) {
    const parsed = resultRecord.safeParse(record);
    if (parsed.success) checked.results.push(parsed.data);
    else {reject(
        checked,
        `results.${at}`,
        parsed.error.issues.map((issue) => `${issue.path.join(".") || "record"}: ${issue.message}`).join(
          "; ",
        ),
      );}
  }
  return checked;
}

export function reject(checked: CheckedResults, place: string, reason: string): void {
  checked.rejectedCount++;
  if (checked.rejected.length < MAX_REJECTED) checked.rejected.push({ place, reason });
}

/** Stores what was good. @throws HubError BAD_REQUEST where every record is bad */
export async function storePush(
  ctx: Context,
  head: PushHead,
  { results, rejected, rejectedCount }: CheckedResults,
): Promise<PushAnswer> {
  if (results.length === 0 && rejectedCount > 0) {
    throw new HubError(
      "BAD_REQUEST",
      `None of the ${rejectedCount} records can be stored; the first: ${rejected[0]!.place}: ${
        rejected[0]!.reason
      }`,
      {
        issues: rejected.slice(0, 100).map(({ place, reason }) => ({ path: place, message: reason })),
      },
    );
  }
  const stored = await pushRun(ctx.sql, head, results, {
    by: authorOf(ctx),
    idempotencyKey: ctx.idempotencyKey,
  });
  ctx.reply.status = stored.isNew ? 201 : 200;
  return { runId: stored.id, accepted: results.length, counts: stored.counts, rejected };
}

async function culprits(ctx: Context, input: CulpritQuery) {
  const after = input.cursor === undefined ? undefined : decodeCursor(input.cursor, ["number", "string"]);
  const found = await listBadHistories(ctx.sql, input, after);
  const items = found.items.flatMap(({ points, ...item }) => {
    const culprit = findCulprit(points);
    return culprit === undefined ? [] : [{ case: item.case, environment: item.environment, ...culprit }];
  });
  const available = await listAvailableBetween(
    ctx.sql,
    found.packageId,
    items.map(({ lastGood, firstBad }) => ({ after: lastGood ?? firstBad, before: firstBad })),
  );
  const last = found.items.at(-1);
  return {
    items: items.map((item, at) => ({ ...item, available: available[at]! })),
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
  // A run that failed in the lab has no cases to tell of.
  counts.labErrors += runs.labErrorRuns.head;
  const rows = await listComparedCases(ctx.sql, input, { pairs: wanted, after, limit: input.limit + 1 });
  const page = toPage(rows, input.limit, toCompareItem, (row) => [row.caseId]);
  return { ...page, counts, ...runs };
}

function toCompareItem({ case: name, base, head, waived }: ComparedCaseRow): CompareItem {
  const { kind, ...verdicts } = compareCase(base, head);
  return { case: name, kind: kind!, ...verdicts, waived };
}
