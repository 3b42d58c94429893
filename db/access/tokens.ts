import { HubError } from "../../errors.ts";
import type { Scope, TokenShape } from "../../schemas/auth.ts";
import type { Page } from "../../schemas/common.ts";
import { type Author, recordAudit } from "./audit.ts";
import { Conditions } from "../core/conditions.ts";
import type { Db, Queryable } from "../core/queryable.ts";
import { decodeCursor, toPage } from "../core/cursor.ts";
import { writeIfPossible } from "../core/connection_errors.ts";
import type { PersonRow } from "./people.ts";

interface TokenRow extends Omit<TokenShape, "createdAt" | "expiresAt" | "lastUsedAt" | "revokedAt"> {
  createdAt: Date;
  expiresAt: Date;
  lastUsedAt: Date | null;
  revokedAt: Date | null;
}

function columns(sql: Queryable) {
  return sql`
    tokens.id, tokens.name, tokens.person, tokens.scopes, tokens.hint, tokens.created_at as "createdAt",
    tokens.expires_at as "expiresAt", tokens.last_used_at as "lastUsedAt", tokens.revoked_at as "revokedAt"`;
}

function toToken(row: TokenRow): TokenShape {
  return {
    ...row,
    createdAt: row.createdAt.toISOString(),
    expiresAt: row.expiresAt.toISOString(),
    lastUsedAt: row.lastUsedAt?.toISOString() ?? null,
    revokedAt: row.revokedAt?.toISOString() ?? null,
  };
}

export interface NewToken {
  hash: Uint8Array;
  hint: string;
  person: string;
  name: string;
  scopes: readonly Scope[];
  expiresAt: Date;
}

/** Stores a token's hash. */
export async function createToken(sql: Db, token: NewToken, by: Author): Promise<TokenShape> {
  return await sql.begin(async (tx) => {
    const [row] = await tx<TokenRow[]>`
      insert into tokens (hash, hint, person, name, scopes, expires_at)
      values (${token.hash}, ${token.hint}, ${token.person}, ${token.name}, ${token.scopes}::text[], ${token.expiresAt})
      returning ${columns(tx)}`;
    const { name, person, scopes, expiresAt } = row!;
    await recordAudit(tx, by, {
      action: "token.create",
      object: `token ${row!.id}`,
      after: { name, person, scopes, expiresAt },
    });
    return toToken(row!);
  });
}

/** Lists a person's tokens, newest first. */
export async function listTokens(
  sql: Queryable,
  person: string,
  { cursor, limit }: { cursor?: string | undefined; limit: number },
): Promise<Page<TokenShape>> {
  const [before] = cursor === undefined ? [null] : decodeCursor(cursor, ["number"]);
  const rows = await sql<TokenRow[]>`
    select ${columns(sql)} from tokens
    where person = ${person} and ${new Conditions(sql).below("id", before).all}
    order by id desc limit ${limit + 1}`;
  return toPage(rows, limit, toToken, (row) => [row.id]);
}

/**
 * Revokes a token; no effect if it is already revoked. `person`: the required owner, undefined for any.
 * @throws HubError NOT_FOUND
 */
export async function revokeToken(
  sql: Db,
  { id, person }: { id: number; person: string | undefined },
  by: Author,
): Promise<TokenShape> {
  return await sql.begin(async (tx) => {
    const revoked = await tx`
      update tokens set revoked_at = now()
      where id = ${id} and revoked_at is null and ${person === undefined ? tx`true` : tx`person = ${person}`}
      returning name`;
    const [row] = await tx<TokenRow[]>`
      select ${columns(tx)} from tokens
      where id = ${id} and ${person === undefined ? tx`true` : tx`person = ${person}`}`;
    if (row === undefined) {
      throw new HubError("NOT_FOUND", `You have no token ${id}; GET /api/auth/tokens lists your tokens.`);
    }
    if (revoked.length > 0) {
      await recordAudit(tx, by, {
        action: "token.revoke",
        object: `token ${id}`,
        before: { name: row.name, person: row.person },
      });
    }
    return toToken(row);
  });
}

export interface TokenUse {
  id: number;
  scopes: Scope[];
  expiresAt: Date;
  person: PersonRow;
}

/** Finds a valid token with its person, and records its use at most once a minute. */
export async function findToken(sql: Queryable, hash: Uint8Array, now: Date): Promise<TokenUse | undefined> {
  const [row] = await sql<
    (PersonRow & { id: number; scopes: Scope[]; expiresAt: Date; lastUsedAt: Date | null })[]
  >`
    select people.name, people.source, people.groups, people.checked_at as "checkedAt", people.refused_at as "refusedAt",
      tokens.id, tokens.scopes, tokens.expires_at as "expiresAt", tokens.last_used_at as "lastUsedAt"
    from tokens join people on people.name = tokens.person
    where tokens.hash = ${hash} and tokens.expires_at > ${now} and tokens.revoked_at is null`;
  if (row === undefined) return undefined;
  const { id, scopes, expiresAt, lastUsedAt, ...person } = row;
  if (lastUsedAt === null || now.getTime() - lastUsedAt.getTime() > 60_000) {
    await writeIfPossible(sql`update tokens set last_used_at = ${now} where id = ${id}`);
  }
  return { id, scopes, expiresAt, person };
}
