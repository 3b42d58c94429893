import type { Db } from "../core/queryable.ts";

/** Maximum number of cached names of all tests; about 150 bytes each. */
const MAX_NAMES = 200_000;

interface KnownCases {
  version: number;
  ids: Map<string, number>;
}

/**
 * Caches the ids of the cases pushed last, since the next run of a test mostly names the same cases. When cases of a test
 * are deleted, `tests.cases_version` grows, and the cached ids of the test are discarded.
 */
export class CaseCache {
  /** By test, least recently used first. */
  #tests = new Map<number, KnownCases>();
  #size = 0;
  #most: number;

  constructor(most = MAX_NAMES) {
    this.#most = most;
  }

  get size(): number {
    return this.#size;
  }

  /** Returns the cached ids of a test. Add to them only with `add`. */
  of(testId: number, version: number): ReadonlyMap<string, number> {
    let known = this.#tests.get(testId);
    if (known !== undefined) this.#tests.delete(testId);
    if (known === undefined || known.version !== version) {
      this.#size -= known?.ids.size ?? 0;
      known = { version, ids: new Map() };
    }
    this.#tests.set(testId, known);
    return known.ids;
  }

  /** Adds ids, and evicts those of other tests if the cache is full. */
  add(testId: number, version: number, names: string[], ids: ArrayLike<number>): void {
    const known = this.#tests.get(testId);
    if (known?.version !== version) return;
    for (const [at, name] of names.entries()) {
      if (ids[at] === 0 || known.ids.has(name)) continue;
      if (this.#size >= this.#most && !this.#evict(testId)) return;
      known.ids.set(name, ids[at]!);
      this.#size++;
    }
  }

  #evict(keep: number): boolean {
    for (const [testId, { ids }] of this.#tests) {
      if (testId === keep) continue;
      this.#size -= ids.size;
      this.#tests.delete(testId);
      if (ids.size > 0) return true;
    }
    return false;
  }
}

const caches = new WeakMap<Db, CaseCache>();

/** Returns this process's cache for a database. */
export function caseCache(sql: Db): CaseCache {
  let cache = caches.get(sql);
  if (cache === undefined) caches.set(sql, cache = new CaseCache());
  return cache;
}
