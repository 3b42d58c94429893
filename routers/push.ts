import { caseLookUp } from "../db/ingest/cases.ts";
import { pushRun } from "../db/ingest/pushes.ts";
import { ResultSpool, type SpoolMark } from "../db/ingest/spool.ts";
import { findKnownTest } from "../db/tests/test_locks.ts";
import { HubError } from "../errors.ts";
import { turns } from "../turns.ts";
import { type ResultRecord, resultRecord } from "../schemas/record.ts";
import type { PushAnswer, PushHead } from "../schemas/result.ts";
import { authorOf, type Context } from "./context.ts";

const MAX_REJECTED = 1000;
const MAX_NOTES = 100;
/** Maximum number of results per run. */
const MAX_PUSHED_RESULTS = 20_000_000;

type Rejected = PushAnswer["rejected"][number];
type Note = PushAnswer["notes"][number];

/** The records of a push read so far: valid ones in a spool, rejected ones by place and reason. */
export class Received {
  rejected: Rejected[] = [];
  rejectedCount = 0;
  notes: Note[] = [];
  readonly spool: ResultSpool;

  constructor(folder: string) {
    this.spool = new ResultSpool(folder);
  }

  /** Adds a record, or rejects it if it is invalid. `place`: its position, for the response. */
  take(record: unknown, place: Omit<Rejected, "reason">): void {
    const parsed = resultRecord.safeParse(record);
    if (parsed.success) this.add(parsed.data);
    else {
      const issues = parsed.error.issues.map((issue) =>
        `${issue.path.join(".") || "record"}: ${issue.message}`
      );
      this.reject({ ...place, reason: issues.join("; ").slice(0, 500) });
    }
  }

  add(record: ResultRecord, isMissing = false): void {
    if (this.spool.count >= MAX_PUSHED_RESULTS) {
      throw new HubError(
        "PAYLOAD_TOO_LARGE",
        `A run may have at most ${MAX_PUSHED_RESULTS} results; split it into several runs.`,
      );
    }
    this.spool.add(record, isMissing);
  }

  reject(rejected: Rejected): void {
    this.rejectedCount++;
    if (this.rejected.length < MAX_REJECTED) this.rejected.push(rejected);
  }

  note(note: Note): void {
    if (this.notes.length < MAX_NOTES) this.notes.push(note);
  }

  mark(): ReceivedMark {
    return { spool: this.spool.mark(), rejectedCount: this.rejectedCount, notes: this.notes.length };
  }

  async rewind(mark: ReceivedMark): Promise<void> {
    await this.spool.rewind(mark.spool);
    this.rejectedCount = mark.rejectedCount;
    this.rejected.length = Math.min(this.rejected.length, mark.rejectedCount);
    this.notes.length = mark.notes;
  }
}

export interface ReceivedMark {
  spool: SpoolMark;
  rejectedCount: number;
  notes: number;
}

/** Makes the spool look up case names as records arrive, if the test exists. */
export async function lookUpNames({ sql }: Context, { spool }: Received, test: string): Promise<void> {
  const known = await findKnownTest(sql, test);
  if (known !== undefined) spool.lookUpBy(caseLookUp(sql, known));
}

/** Stores the records of a JSON body. @throws HubError BAD_REQUEST if every record is invalid */
export async function pushRecords(ctx: Context, head: PushHead, records: unknown[]): Promise<PushAnswer> {
  const received = new Received(ctx.config.spoolDir);
  try {
    await lookUpNames(ctx, received, head.test);
    for (const [at, record] of records.entries()) {
      if (turns.isOver) await turns.take();
      received.take(record, { place: `results.${at}` });
      if (received.spool.isBusy) await received.spool.ready();
    }
    return await storePush(ctx, head, received);
  } finally {
    received.spool.dispose();
  }
}

/** Stores the valid records. @throws HubError BAD_REQUEST if every record is invalid */
export async function storePush(ctx: Context, head: PushHead, received: Received): Promise<PushAnswer> {
  const { spool, rejected, rejectedCount, notes } = received;
  if (spool.count === 0 && rejectedCount > 0) {
    const [first] = rejected;
    const what = rejectedCount === 1
      ? "The one record cannot be stored"
      : `None of the ${rejectedCount} records can be stored; the first`;
    throw new HubError("BAD_REQUEST", `${what}: ${first!.file ?? ""} ${first!.place}: ${first!.reason}`, {
      issues: rejected.slice(0, 100).map(({ file, place, reason }) => ({
        path: file === undefined ? place : `${file} ${place}`,
        message: reason,
      })),
    });
  }
  const stored = await pushRun(ctx.sql, head, spool, {
    by: authorOf(ctx),
    idempotencyKey: ctx.idempotencyKey,
  });
  ctx.reply.status = stored.isNew ? 201 : 200;
  return {
    runId: stored.id,
    accepted: spool.count - spool.missing,
    counts: spool.reportedCounts,
    missing: spool.missing,
    samples: spool.samples,
    rejectedCount,
    rejected,
    notes,
  };
}
