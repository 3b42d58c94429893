import type { AuditEntry, AuditList } from "../../schemas/audit.ts";
import type { Page } from "../../schemas/common.ts";
import { Conditions } from "../core/conditions.ts";
import type { Db, Queryable } from "../core/queryable.ts";
import { decodeCursor, toPage } from "../core/cursor.ts";

/** Who acts, by which credential, and from where. */
export interface Author {
  name: string;
  /** `session`, `token <id>`, `admin token`, `sign-in`. */
  via: string;
  address: string;
  requestId: string;
}

export interface AuditRecord {
  /** `<noun>.<verb>` */
  action: string;
  /** `<noun> <name or id>` */
  object: string;
  before?: Record<string, unknown> | undefined;
  after?: Record<string, unknown> | undefined;
}

/**
 * Records an action in the transaction that performs it. Never pass secrets: passwords, tokens, session ids, settings.
 */
export async function recordAudit(tx: Queryable, by: Author, record: AuditRecord): Promise<void> {
  const json = (value: unknown) => value === undefined ? null : JSON.stringify(value);
  await tx`
    insert into audit (who, via, address, request_id, action, object, before, after)
    values (${by.name}, ${by.via}, ${by.address}, ${by.requestId}, ${record.action}, ${
    record.object.slice(0, 500)
  },
      ${json(record.before)}::text::jsonb, ${json(record.after)}::text::jsonb)`;
}

/**
 * Performs and records an action in one transaction. If `act` returns false, nothing was done and nothing is recorded.
 */
export async function audited(
  sql: Db,
  by: Author,
  record: AuditRecord,
  act: (tx: Queryable) => Promise<boolean>,
): Promise<boolean> {
  return await sql.begin(async (tx) => {
    const isDone = await act(tx);
    if (isDone) await recordAudit(tx, by, record);
    return isDone;
  });
}

interface AuditRow extends Omit<AuditEntry, "at"> {
  at: Date;
}

/** Lists the audit log, newest first. */
export async function listAudit(sql: Queryable, input: AuditList): Promise<Page<AuditEntry>> {
  const [before] = input.cursor === undefined ? [null] : decodeCursor(input.cursor, ["number"]);
  const { who, action, object, from, to, limit } = input;
  const where = new Conditions(sql)
    .below("id", before)
    .equal("who", who)
    .equal("action", action)
    .equal("object", object)
    .given(from, (time) => sql`at >= ${time}`)
    .given(to, (time) => sql`at <= ${time}`);
  const rows = await sql<AuditRow[]>`
    select id, at, who, via, address, request_id as "requestId", action, object, before, after
    from audit
    where ${where.all}
    order by id desc limit ${limit + 1}`;
  return toPage(rows, limit, (row) => ({ ...row, at: row.at.toISOString() }), (row) => [row.id]);
}
