import { turns } from "../../turns.ts";
import { caseCache } from "./case_cache.ts";
import type { Db, Queryable } from "../core/queryable.ts";
import { uncopied } from "../core/copy.ts";
import type { ResultRecord } from "../../schemas/record.ts";
import { type LookUp, NAMES_AT_ONCE, type ResultSpool, spoolKnown } from "./spool.ts";
import type { KnownTest } from "../tests/test_locks.ts";
import { LOCKS } from "../core/locks.ts";

/** Between names in one text; no name holds it. */
const SEPARATOR = "\n\x01";

/** Looks up the ids of a test's cases, in what this process knows of them first. */
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

/** Ids of cases by their names' places; 0 where there is none. */
async function findCaseIds(sql: Queryable, testId: number, names: string[]): Promise<Int32Array> {
  // One text costs a third of what an array of them does. A lateral query, which is one probe of the index per name: a new
  // test is not in the table's statistics, and a join would read all of its cases for each name, since it takes them for few.
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
 * Gives every result of the spools its case's id; cases that are new are made, in the order they appear, so that a run's
 * rows lie beside each other in the indexes. One at a time makes them for a test: two never wait for each other in a ring.
 * `told` hears of names that were asked for, with their ids: they hold only once the transaction, if there is one, has.
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
 * Runs with their results spooled and all of their cases known, made outside of any transaction, so that one that stores them
 * is short. Let the spools expect the test's version there.
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
      // As what is inserted will want it: one that holds the test, a rename, must not be waited for with new names in hand.
      const held = await tx`select id from tests where id = ${testId} and deleted_at is null for key share`;
      // Of a deleted test none are made: they would stay for good.
      if (held.length === 0) return;
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
