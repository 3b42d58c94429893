import { turns } from "../../turns.ts";
import { caseCache } from "./case_cache.ts";
import type { Db, Queryable } from "../core/queryable.ts";
import { uncopied } from "../core/copy.ts";
import type { ResultRecord } from "../../schemas/record.ts";
import { type LookUp, NAMES_AT_ONCE, type ResultSpool, spoolKnown } from "./spool.ts";
import type { KnownTest } from "../tests/test_locks.ts";
import { LOCKS } from "../core/locks.ts";

/** Separates names in one text; no name contains it. */
const SEPARATOR = "\n\x01";

/** Returns a lookup of a test's case ids, which checks this process's cache first. */
export function caseLookUp(sql: Db, { id, casesVersion }: KnownTest): LookUp {
  const cache = caseCache(sql);
  const known = cache.of(id, casesVersion);
  return {
    casesVersion,
    now: (name) => known.get(name) ?? 0,
    async later(names) {
      const ids = await findCaseIds(sql, id, names);
      await turns.take();
      cache.add(id, casesVersion, names, ids);
      return ids;
    },
  };
}

/** Returns the case ids in the order of the names; 0 for an unknown name. */
async function findCaseIds(sql: Queryable, testId: number, names: string[]): Promise<Int32Array> {
  // One text costs a third of an array. The lateral query probes the index once per name: a new test is not yet in the
  // table's statistics, so a join would underestimate its cases and read all of them for each name.
  const [row] = await sql.unsafe<[{ ids: string | null }]>(
    `select string_agg(coalesce(found.id, 0)::text, ',' order by asked.place) as ids
    from unnest(string_to_array($2::text, E'\\n\\x01')) with ordinality as asked (name, place)
      left join lateral (
        select coalesce(cases.alias_of, cases.id) as id from cases
        where cases.test_id = $1::int and cases.hash = md5(asked.name)::uuid
        offset 0
      ) as found on true`,
    [testId, names.map(separable).join(SEPARATOR)],
  );
  return Int32Array.from((row.ids ?? "").split(","), Number);
}

function separable(name: string): string {
  return name.includes("\x01") ? name.replaceAll("\x01", "\uFFFD") : name;
}

/**
 * Sets the case id of every result in the spools. New cases are created in the order in which they appear, so that a
 * run's rows are adjacent in the indexes. An advisory lock lets one transaction at a time create cases of a test, so that
 * two cannot deadlock. `onIds` receives the queried names with their ids, which are valid once the transaction, if any,
 * has committed.
 */
export async function internCases(
  sql: Db | Queryable,
  testId: number,
  spools: readonly ResultSpool[],
  onIds: (names: string[], ids: number[]) => void = () => {},
): Promise<void> {
  for (const spool of spools) await spool.settle();
  let places: { spool: ResultSpool; place: number; at: number }[] = [];
  let asked = new Map<string, number>();
  const flush = async () => {
    const names = [...asked.keys()];
    const ids = await idsOf(sql, testId, names);
    await turns.take();
    onIds(names, ids);
    for (const { spool, place, at } of places) {
      if (turns.isOver) await turns.take();
      spool.caseIds.set(place, ids[at]!);
    }
    places = [];
    asked = new Map();
  };
  for (const spool of spools) {
    if (spool.caseIds.unknown === 0) continue;
    let place = -1;
    for (const lines of spool.names()) {
      for (const line of lines) {
        if (turns.isOver) await turns.take();
        if (spool.caseIds.get(++place) !== 0) continue;
        const name = uncopied(line);
        let at = asked.get(name);
        if (at === undefined) asked.set(name, at = asked.size);
        places.push({ spool, place, at });
      }
      if (places.length >= NAMES_AT_ONCE) await flush();
    }
  }
  if (places.length > 0) await flush();
}

/**
 * Spools the results of runs and resolves all their case ids, outside any transaction, so that the storing transaction is
 * short. There, call `expectVersion` on each spool with the test's version.
 */
export async function spoolRuns<R extends { results: ResultRecord[] }>(
  sql: Db,
  test: KnownTest,
  runs: R[],
): Promise<(Omit<R, "results"> & { results: ResultSpool })[]> {
  const { id, casesVersion } = test;
  const known = caseLookUp(sql, test);
  const spooled: (Omit<R, "results"> & { results: ResultSpool })[] = [];
  for (const { results, ...head } of runs) {
    spooled.push({ ...head, results: await spoolKnown(results, known) });
  }
  await internCases(sql, id, spooled.map((run) => run.results), (names, ids) => {
    caseCache(sql).add(id, casesVersion, names, ids);
  });
  return spooled;
}

async function idsOf(sql: Db | Queryable, testId: number, names: string[]): Promise<number[]> {
  let ids = await findCaseIds(sql, testId, names);
  const added = names.filter((_name, at) => ids[at] === 0);
  if (added.length > 0) {
    const text = added.map(separable).join(SEPARATOR);
    const make = async (tx: Queryable) => {
      // The insert will need this lock on the test. Without it now, it would wait for a rename while it has new names
      // locked.
      const locked = await tx`select id from tests where id = ${testId} and deleted_at is null for key share`;
      // A deleted test gets no new cases: nothing would ever delete them.
      if (locked.length === 0) return;
      await tx`select pg_advisory_xact_lock(${LOCKS.newCases}, ${testId})`;
      await tx.unsafe(
        `insert into cases (test_id, name)
        select $1::int, asked.name
        from unnest(string_to_array($2::text, E'\\n\\x01')) with ordinality as asked (name, place)
        order by asked.place
        on conflict (test_id, hash) do nothing`,
        [testId, text],
      );
    };
    await ("begin" in sql ? sql.begin(make) : make(sql));
    ids = await findCaseIds(sql, testId, names);
  }
  return [...ids];
}
