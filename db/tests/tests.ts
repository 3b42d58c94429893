import { distance as editDistance } from "fastest-levenshtein";
import { HubError } from "../../errors.ts";
import type { Page } from "../../schemas/common.ts";
import type { TestInput, TestList, TestPatch, TestShape } from "../../schemas/test.ts";
import { type Author, recordAudit } from "../access/audit.ts";
import { Conditions } from "../core/conditions.ts";
import type { Db, Queryable } from "../core/queryable.ts";
import { decodeCursor, toPage } from "../core/cursor.ts";
import { revokeScrape, scrapeColumns, type ScrapeRow, toScrape } from "./scrapes.ts";

interface TestRow
  extends Omit<TestShape, "createdAt" | "updatedAt" | "nextScrapeAt" | "lastScrape" | "intervalMs"> {
  id: number;
  intervalS: number;
  dueAt: Date;
  createdAt: Date;
  updatedAt: Date;
  lastScrape: ScrapeRow | null;
}

function toTest({ id: _id, intervalS, dueAt, createdAt, updatedAt, lastScrape, ...row }: TestRow): TestShape {
  return {
    ...row,
    intervalMs: intervalS * 1000,
    nextScrapeAt: row.enabled && row.scraper !== "push" ? dueAt.toISOString() : null,
    lastScrape: lastScrape === null ? null : toScrape(lastScrape),
    createdAt: createdAt.toISOString(),
    updatedAt: updatedAt.toISOString(),
  };
}

function columns(sql: Queryable) {
  return sql`
    tests.id, tests.name, tests.scraper, tests.settings, tests.submit, tests.owner, tests.description,
    tests.interval_s as "intervalS", tests.enabled, tests.keep_days as "keepDays", tests.failures, tests.due_at as "dueAt",
    tests.created_at as "createdAt", tests.updated_at as "updatedAt", to_jsonb(last) as "lastScrape"`;
}

function lastScrape(sql: Queryable) {
  return sql`
    left join lateral (
      select ${
    scrapeColumns(sql)
  } from scrapes where scrapes.test_id = tests.id order by scrapes.id desc limit 1
    ) as last on true`;
}

/** Lists tests by name. */
export async function listTests(sql: Queryable, input: TestList): Promise<Page<TestShape>> {
  const [after] = input.cursor === undefined ? [null] : decodeCursor(input.cursor, ["string"]);
  const { search, scraper, owner, enabled } = input;
  const where = new Conditions(sql)
    .given(after, (name) => sql`tests.name > ${name}`)
    .includes("tests.name", search)
    .equal("tests.scraper", scraper)
    .equal("tests.owner", owner)
    .equal("tests.enabled", enabled);
  const rows = await sql<TestRow[]>`
    select ${columns(sql)}
    from tests ${lastScrape(sql)}
    where tests.deleted_at is null and ${where.all}
    order by tests.name
    limit ${input.limit + 1}`;
  return toPage(rows, input.limit, toTest, (row) => [row.name]);
}

/** @throws HubError NOT_FOUND that names tests alike */
export async function getTest(sql: Queryable, name: string): Promise<TestShape> {
  const [row] = await sql<TestRow[]>`
    select ${columns(sql)} from tests ${
    lastScrape(sql)
  } where tests.name = ${name} and tests.deleted_at is null`;
  if (row === undefined) throw await unknownTest(sql, name);
  return toTest(row);
}

/** @throws HubError NOT_FOUND that names tests alike */
export async function getTestId(sql: Queryable, name: string): Promise<number> {
  const [row] = await sql<{ id: number }[]>`select id from tests where name = ${name} and deleted_at is null`;
  if (row === undefined) throw await unknownTest(sql, name);
  return row.id;
}

/** Maximum number of names compared for suggestions. */
const MAX_NAMES = 2000;

/** Makes the error for an unknown test, which suggests tests with similar names. */
export async function unknownTest(sql: Queryable, name: string): Promise<HubError> {
  const rows = await sql<{ name: string }[]>`
    select name from tests where deleted_at is null order by name limit ${MAX_NAMES}`;
  const asked = name.toLowerCase();
  const alike = rows
    .map((row) => ({ name: row.name, distance: editDistance(asked, row.name.toLowerCase()) }))
    .filter((row) => row.distance <= Math.max(2, asked.length / 3) || row.name.toLowerCase().includes(asked))
    .sort((a, b) => a.distance - b.distance)
    .slice(0, 5)
    .map((row) => JSON.stringify(row.name));
  const hint = alike.length === 0 ? "; /api/tests lists them" : `; is it ${alike.join(", ")}?`;
  return new HubError("NOT_FOUND", `There is no test ${JSON.stringify(name)}${hint}`);
}

/** Creates a test, or restores a deleted test of that name. @throws HubError CONFLICT if the name is taken */
export async function createTest(sql: Db, input: TestInput, by: Author): Promise<void> {
  await sql.begin(async (tx) => {
    const rows = await tx`
    insert into tests (name, scraper, settings, submit, owner, description, interval_s, enabled, keep_days)
    values (${input.name}, ${input.scraper}, ${JSON.stringify(input.settings)}::text::jsonb,
      ${JSON.stringify(input.submit)}::text::jsonb, ${input.owner ?? null}, ${input.description ?? null},
      ${Math.round(input.intervalMs / 1000)}, ${input.enabled}, ${input.keepDays ?? null})
    on conflict (name) do update set
      scraper = excluded.scraper, settings = excluded.settings, submit = excluded.submit, owner = excluded.owner,
      description = excluded.description, interval_s = excluded.interval_s, enabled = excluded.enabled,
      keep_days = excluded.keep_days,
      watermark = null, due_at = now(), failures = 0, updated_at = now(), deleted_at = null
      where tests.deleted_at is not null
    returning id`;
    if (rows.length === 0) {
      throw new HubError(
        "CONFLICT",
        `The test ${JSON.stringify(input.name)} already exists; change it with PATCH /api/tests/{name}.`,
      );
    }
    await recordAudit(tx, by, {
      action: "test.create",
      object: `test ${input.name}`,
      after: auditedFields({ ...input, name: undefined }),
    });
  });
}

/** What the audit log records of a test: that its settings changed, not their values. */
function auditedFields(fields: Record<string, unknown>): Record<string, unknown> {
  return "settings" in fields && fields.settings !== undefined
    ? { ...fields, settings: "(not shown)" }
    : fields;
}

/**
 * Changes the given fields. A new scraper or new settings restart the source from its beginning, and end a running scrape
 * with the old ones.
 * @throws HubError NOT_FOUND that suggests similar names
 */
export async function updateTest(sql: Db, patch: TestPatch, by: Author): Promise<void> {
  const json = (value: unknown) => value === undefined ? null : JSON.stringify(value);
  const isOther = patch.scraper !== undefined || patch.settings !== undefined;
  const isAnew = isOther || patch.enabled === true;
  const intervalS = patch.intervalMs === undefined ? null : Math.round(patch.intervalMs / 1000);
  const id = await getTestId(sql, patch.name);
  await sql.begin(async (tx) => {
    if (isOther) await revokeScrape(tx, id, "the test was given another scraper or other settings");
    const [row] = await tx<Record<string, unknown>[]>`
      select scraper, settings, submit, owner, description, interval_s * 1000 as "intervalMs", enabled,
        keep_days as "keepDays"
      from tests where id = ${id} for update`;
    await tx`
      update tests set
        scraper = coalesce(${patch.scraper ?? null}, scraper),
        settings = coalesce(${json(patch.settings)}::text::jsonb, settings),
        submit = coalesce(${json(patch.submit)}::text::jsonb, submit),
        owner = ${patch.owner === undefined ? tx`owner` : patch.owner},
        description = ${patch.description === undefined ? tx`description` : patch.description},
        keep_days = ${patch.keepDays === undefined ? tx`keep_days` : patch.keepDays},
        interval_s = coalesce(${intervalS}::int, interval_s),
        enabled = coalesce(${patch.enabled ?? null}::boolean, enabled),
        watermark = case when ${isOther} then null else watermark end,
        failures = case when ${isAnew} then 0 else failures end,
        due_at = case
          when ${isAnew} then least(due_at, now())
          when ${intervalS}::int is null then due_at
          else least(due_at, now() + make_interval(secs => ${intervalS}::int)) end,
        updated_at = now()
      where id = ${id}`;
    const { name, ...after } = patch;
    const before = Object.fromEntries(Object.keys(after).map((key) => [key, row?.[key]]));
    await recordAudit(tx, by, {
      action: "test.update",
      object: `test ${name}`,
      before: auditedFields(before),
      after: auditedFields(after),
    });
  });
}

const DELETE_BATCH = 500;

/**
 * Deletes a test. Its runs and results stay unless `results` is set. If deleting them is interrupted, a repeated call
 * continues.
 * @throws HubError NOT_FOUND, also if the test is already deleted and has nothing left to delete
 */
export async function deleteTest(
  sql: Db,
  name: string,
  { results }: { results: boolean },
  by: Author,
): Promise<{ runsDeleted: number }> {
  const [test] = await sql<{ id: number; isDeleted: boolean; hasRuns: boolean }[]>`
    select id, deleted_at is not null as "isDeleted",
      exists (select from runs where runs.test_id = tests.id) as "hasRuns"
    from tests where name = ${name}`;
  if (test === undefined || test.isDeleted && !(results && test.hasRuns)) {
    throw await unknownTest(sql, name);
  }
  const { id } = test;
  const newestRun = await sql.begin(async (tx) => {
    await revokeScrape(tx, id, "the test was deleted");
    // Waits for transactions that are storing runs of the test; later ones find it deleted.
    await tx`select id from tests where id = ${id} for update`;
    await tx`
      update tests set deleted_at = coalesce(deleted_at, now()), enabled = false, updated_at = now() where id = ${id}`;
    await recordAudit(tx, by, { action: "test.delete", object: `test ${name}`, after: { results } });
    const [row] = await tx<[{ newest: number | null }]>`
      select max(id) as newest from runs where test_id = ${id}`;
    return row.newest;
  });
  if (!results) return { runsDeleted: 0 };
  let runsDeleted = 0;
  while (newestRun !== null) {
    const count = await sql.begin((tx) => deleteRuns(tx, id, newestRun));
    runsDeleted += count;
    if (count < DELETE_BATCH) break;
  }
  await sql.begin((tx) => forgetCases(tx, id));
  return { runsDeleted };
}

/** Deletes a batch of a test's runs with their results, up to the id `upTo`. Returns how many. */
async function deleteRuns(tx: Queryable, testId: number, upTo: number): Promise<number> {
  // A push that restores the test locks it before it writes a run; the deletion is recorded in the test.
  await tx`select id from tests where id = ${testId} for no key update`;
  const runs = await tx<{ id: number }[]>`
    select id from runs where test_id = ${testId} and id <= ${upTo} order by id limit ${DELETE_BATCH}
    -- Transactions that write a run lock it first, too.
    for update`;
  const ids = runs.map((run) => run.id);
  if (ids.length === 0) return 0;
  const [first, last] = [ids[0]!, ids.at(-1)!];
  await tx`delete from results where run_id = any(${ids}::bigint[]) and run_id between ${first} and ${last}`;
  await tx`delete from samples where run_id = any(${ids}::bigint[]) and run_id between ${first} and ${last}`;
  await tx`delete from runs where id = any(${ids}::bigint[])`;
  return ids.length;
}

/**
 * Deletes the cases of a deleted test that has no runs. The row lock orders it before or after a push that restores the
 * test.
 */
async function forgetCases(tx: Queryable, testId: number): Promise<void> {
  await tx`select id from tests where id = ${testId} for update`;
  const [row] = await tx`
    select deleted_at is not null and not exists (select from runs where test_id = ${testId}) as "isEmpty"
    from tests where id = ${testId}`;
  if (!row?.isEmpty) return;
  await tx`delete from waivers where test_id = ${testId}`;
  await tx`delete from cases where test_id = ${testId}`;
  await tx`update tests set cases_version = cases_version + 1 where id = ${testId}`;
}

/** Ids of the tests that are due for a scrape. */
export async function listDueTests(sql: Queryable, limit: number): Promise<number[]> {
  const rows = await sql<{ id: number }[]>`
    select id from tests
    where enabled and deleted_at is null and due_at <= now() and scraper <> 'push'
    order by due_at limit ${limit}`;
  return rows.map((row) => row.id);
}

export async function makeTestsDue(sql: Queryable, ids: number[]): Promise<void> {
  await sql`update tests set due_at = now() where id = any(${ids}::int[]) and due_at > now()`;
}
