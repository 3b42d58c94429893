import { createHash } from "node:crypto";
import { HubError } from "../../errors.ts";
import type { Placed } from "../../schemas/record.ts";
import type { PushHead } from "../../schemas/result.ts";
import { type Author, recordAudit } from "../access/audit.ts";
import { getNumber, labelKey, placeLabels } from "../axes/changelists.ts";
import type { Db, Queryable } from "../core/queryable.ts";
import { internCases } from "./cases.ts";
import { mergeRun } from "./merge.ts";
import type { ResultSpool } from "./spool.ts";
import { storeTurns } from "./store_turns.ts";
import { prepareStore, type StoredRun, storeRuns } from "./run_writer.ts";
import { ensureTest, findKnownTest } from "../tests/test_locks.ts";
import { claimIdempotencyKey, completeIdempotencyKey, type IdempotencyKey } from "../core/idempotency.ts";
import { LOCKS } from "../core/locks.ts";

type Numbered = Placed<PushHead>;

export interface PushOptions {
  by: Author;
  idempotencyKey: string | undefined;
}

/**
 * Stores a pushed run with its results, and creates the test if it is unknown. Without an external id, the hash of the
 * run's content identifies it. In mode `append`, the idempotency key prevents a repeat from appending twice.
 * @throws HubError NOT_FOUND (a label without a number), BAD_REQUEST (append without a key, merge without an external
 * id), CONFLICT (mode `reject`, a key used for another run, or a piece of another run)
 */
export async function pushRun(
  sql: Db,
  asked: PushHead,
  results: ResultSpool,
  options: PushOptions,
): Promise<StoredRun> {
  const head = await placed(sql, spelled(asked));
  // The mode is not part of a run's identity.
  const { test, mode, externalId = hashOf({ ...head, mode: "replace" }, results), ...rest } = head;
  if (mode === "append" && options.idempotencyKey === undefined) {
    throw new HubError(
      "BAD_REQUEST",
      "Mode append requires an Idempotency-Key header, so that a repeated request does not append twice.",
    );
  }
  if (mode === "merge" && head.externalId === undefined) {
    throw new HubError(
      "BAD_REQUEST",
      "Mode merge requires an externalId, which identifies the run that the piece belongs to.",
    );
  }
  await prepareStore(sql, 1);
  await results.settle();
  return await storeTurns.run([results], async () => {
    // Outside the transaction, so that other pushes with new cases of the test need not wait for its end.
    const known = results.caseIds.unknown === 0 ? undefined : await findKnownTest(sql, test);
    if (known !== undefined) {
      results.expectVersion(known.casesVersion);
      await internCases(sql, known.id, [results]);
    }
    return await sql.begin(async (tx) => {
      const stored = await store(tx);
      await recordAudit(tx, options.by, {
        action: "results.push",
        object: `test ${test}`,
        after: { run: stored.id, isNew: stored.isNew, changelist: head.changelist, counts: stored.counts },
      });
      return stored;
    });
  });

  async function store(tx: Queryable): Promise<StoredRun> {
    const { id: testId, casesVersion } = await ensureTest(tx, test);
    results.expectVersion(casesVersion);
    const run = { ...rest, externalId, attempt: 1, status: "done" as const, results };
    const source = `push:${test}`;
    if (mode === "merge") return await mergeRun(tx, { testId, source, piece: run });
    if (mode !== "append") return (await storeRuns(tx, { testId, source, runs: [run], mode })).runs[0]!;
    // Two concurrent appends to a run must not get the same attempt.
    await tx`select pg_advisory_xact_lock(${LOCKS.appendAttempt}, hashtext(${`${source} ${externalId}`}))`;
    const key: IdempotencyKey = {
      scope: `push:${options.by.name}:${test}`,
      key: options.idempotencyKey!,
      request: hashOf({ ...head, externalId }, results),
      makes: "run",
    };
    const earlier = await claimIdempotencyKey(tx, key);
    const first = earlier === undefined ? undefined : await findStored(tx, earlier);
    if (first !== undefined) return first;
    const stored = (await storeRuns(tx, {
      testId,
      source,
      runs: [{ ...run, attempt: 1 }],
      mode: await hasRun(tx, { testId, source, externalId }) ? "append" : "replace",
    })).runs[0]!;
    await completeIdempotencyKey(tx, key, stored.id);
    return stored;
  }
}

/** Replaces the head's label by its number. @throws HubError NOT_FOUND if the label has no number */
async function placed(sql: Db, asked: PushHead): Promise<Numbered> {
  const { committedAt, changelist, ...head } = asked;
  if (typeof changelist === "number") return { ...head, changelist };
  const label = changelist.slice("label:".length);
  const placed = await placeLabels(sql, [{ axis: head.axis, label, committedAt }]);
  const number = placed.get(labelKey(head.axis, label))!;
  if (typeof number === "number") return { ...head, changelist: number };
  // A unique prefix of a known label is enough.
  return {
    ...head,
    changelist: await getNumber(sql, head.axis, label).catch((error) => {
      if (!(error instanceof HubError) || error.code !== "NOT_FOUND") throw error;
      throw new HubError("NOT_FOUND", `The changelist ${changelist} has no number: ${number}.`);
    }),
  };
}

/** Normalises the head, so that equal heads have equal hashes. */
function spelled(head: PushHead): PushHead {
  const { startedAt, finishedAt, environment } = head;
  return {
    ...head,
    environment: Object.fromEntries(Object.entries(environment).sort(([a], [b]) => a < b ? -1 : 1)),
    ...(startedAt === undefined ? {} : { startedAt: new Date(startedAt).toISOString() }),
    ...(finishedAt === undefined ? {} : { finishedAt: new Date(finishedAt).toISOString() }),
  };
}

async function hasRun(
  tx: Queryable,
  { testId, source, externalId }: { testId: number; source: string; externalId: string },
): Promise<boolean> {
  const rows = await tx`select id from runs
    where test_id = ${testId} and source = ${source} and external_id = ${externalId} limit 1`;
  return rows.length > 0;
}

/** A run that an earlier push stored; undefined if it was deleted since, with its test. */
async function findStored(tx: Queryable, id: number): Promise<StoredRun | undefined> {
  const [run] = await tx<Omit<StoredRun, "isNew">[]>`
    select id, external_id as "externalId", attempt, counts from runs where id = ${id}`;
  return run === undefined ? undefined : { ...run, isNew: false };
}

function hashOf(head: Numbered, results: ResultSpool): string {
  return createHash("sha256").update(JSON.stringify(head)).update(results.digest()).digest("hex");
}
