import { HubError } from "../../errors.ts";
import type { CaseAlias } from "../../schemas/alias.ts";
import { type Author, recordAudit } from "../access/audit.ts";
import type { Db, Queryable } from "../core/queryable.ts";
import { getTestId } from "./tests.ts";

interface NamedCase {
  id: number;
  name: string;
  aliasOf: number | null;
}

/**
 * Blocks pushes and scrapes of the test until the end of the transaction, and invalidates the case ids that they have
 * resolved.
 */
async function lockCases(tx: Queryable, testId: number): Promise<void> {
  await tx`select id from tests where id = ${testId} for update`;
  await tx`update tests set cases_version = cases_version + 1 where id = ${testId}`;
}

/**
 * Renames a case. Its history moves to the new name, and the old name becomes an alias. Results already stored under the
 * new name become the case's.
 * @throws HubError NOT_FOUND, CONFLICT if the old name is an alias, the new name is another case's alias, or a run has
 * both
 */
export async function renameCase(
  sql: Db,
  { name, from, to }: { name: string; from: string; to: string },
  by: Author,
): Promise<{ resultsMoved: number }> {
  if (from === to) {
    throw new HubError("BAD_REQUEST", "The new name is the same as the old one. Pass another name.");
  }
  const testId = await getTestId(sql, name);
  return await sql.begin(async (tx) => {
    await lockCases(tx, testId);
    const old = await findCase(tx, testId, from);
    const other = await findCase(tx, testId, to);
    if (old === undefined) {
      throw new HubError(
        "NOT_FOUND",
        `The test ${JSON.stringify(name)} has no case ${JSON.stringify(from)}.`,
      );
    }
    if (old.aliasOf !== null) {
      const { name: now } = await getCase(tx, old.aliasOf);
      throw new HubError(
        "CONFLICT",
        `${JSON.stringify(from)} already is an old name of ${JSON.stringify(now)}.`,
      );
    }
    if (other?.aliasOf != null && other.aliasOf !== old.id) {
      const { name: now } = await getCase(tx, other.aliasOf);
      throw new HubError("CONFLICT", `${JSON.stringify(to)} is an old name of ${JSON.stringify(now)}.`);
    }
    const resultsMoved = other === undefined || other.aliasOf !== null
      ? 0
      : await moveResults(tx, { old, other });
    await swapNames(tx, testId, { old, to, otherId: other?.id });
    await recordAudit(tx, by, {
      action: "case.rename",
      object: `test ${name}`,
      before: { case: from },
      after: { case: to, resultsMoved },
    });
    return { resultsMoved };
  }) as { resultsMoved: number };
}

async function findCase(tx: Queryable, testId: number, name: string): Promise<NamedCase | undefined> {
  const [row] = await tx<NamedCase[]>`
    select id, name, alias_of as "aliasOf" from cases where test_id = ${testId} and hash = md5(${name})::uuid`;
  return row;
}

async function getCase(tx: Queryable, id: number): Promise<NamedCase> {
  const [row] = await tx<NamedCase[]>`select id, name, alias_of as "aliasOf" from cases where id = ${id}`;
  return row!;
}

/** Moves what is stored under the other case to the old one. @throws HubError CONFLICT if a run has both */
async function moveResults(
  tx: Queryable,
  { old, other }: { old: NamedCase; other: NamedCase },
): Promise<number> {
  const [both] = await tx<{ run: number }[]>`
    select ours.run_id as run from results as theirs join results as ours
      on ours.run_id = theirs.run_id and ours.case_id = ${old.id} and ours.changelist = theirs.changelist
    where theirs.case_id = ${other.id} limit 1`;
  if (both !== undefined) {
    throw new HubError(
      "CONFLICT",
      `${JSON.stringify(old.name)} and ${
        JSON.stringify(other.name)
      } are different cases: run ${both.run} has both.`,
    );
  }
  const moved = await tx`update results set case_id = ${old.id} where case_id = ${other.id}`;
  await tx`update samples set case_id = ${old.id} where case_id = ${other.id}`;
  await tx`update waivers set case_id = ${old.id} where case_id = ${other.id}`;
  await tx`update cases set alias_of = ${old.id} where alias_of = ${other.id}`;
  return moved.count;
}

/** Gives the old case's row, which has the results, the new name. Its alias row keeps the old name. */
async function swapNames(
  tx: Queryable,
  testId: number,
  { old, to, otherId }: { old: NamedCase; to: string; otherId: number | undefined },
): Promise<void> {
  // The placeholder avoids a conflict on the unique name: no name from outside contains \x01.
  if (otherId !== undefined) await tx`update cases set name = ${`\x01${otherId}`} where id = ${otherId}`;
  await tx`update cases set name = ${to} where id = ${old.id}`;
  if (otherId !== undefined) {
    await tx`update cases set name = ${old.name}, alias_of = ${old.id} where id = ${otherId}`;
  } else {
    await tx`insert into cases (test_id, name, alias_of) values (${testId}, ${old.name}, ${old.id})`;
  }
}

/** Removes an alias, so that the next result with the old name makes a case of its own. @throws HubError NOT_FOUND */
export async function forgetAlias(
  sql: Db,
  { name, case: old }: { name: string; case: string },
  by: Author,
): Promise<void> {
  const testId = await getTestId(sql, name);
  await sql.begin(async (tx) => {
    await lockCases(tx, testId);
    const removed = await tx`
      delete from cases where test_id = ${testId} and hash = md5(${old})::uuid and alias_of is not null returning id`;
    if (removed.length === 0) {
      throw new HubError(
        "NOT_FOUND",
        `${JSON.stringify(old)} is not an old name of a case of the test ${JSON.stringify(name)}.`,
      );
    }
    await recordAudit(tx, by, { action: "case.forget_name", object: `test ${name}`, before: { case: old } });
  });
}

/** Lists the old names of a test's cases. */
export async function listAliases(sql: Queryable, name: string): Promise<CaseAlias[]> {
  const testId = await getTestId(sql, name);
  return [
    ...await sql<CaseAlias[]>`
      select aliases.name as "oldName", cases.name as case
      from cases as aliases join cases on cases.id = aliases.alias_of
      where aliases.test_id = ${testId} and aliases.alias_of is not null
      order by cases.name, aliases.name limit 10000`,
  ];
}
