import { createHash } from "node:crypto";
import { turns } from "../../turns.ts";
import type { Counts } from "../../schemas/outcome.ts";
import type { ResultRecord } from "../../schemas/record.ts";
import { CaseIds } from "./case_ids.ts";
import { copyValue } from "../core/copy.ts";
import { resultRest, sampleRest } from "./copy_format.ts";
import { SpillBuffer, type SpillPlace } from "./spill_buffer.ts";

/** Number of names looked up at once. */
export const NAMES_AT_ONCE = 20_000;
/** Number of names copied out of the file's text at once, see `freed`. */
const FREED_AT_ONCE = 256;
/** Maximum number of concurrent lookups per spool. */
const MAX_LOOKUPS = 2;

/** Resolves names to ids; 0 for an unknown name. */
export interface LookUp {
  /** The `tests.cases_version` that the ids are valid for. */
  casesVersion: number;
  now(name: string): number;
  later(names: string[]): Promise<Int32Array>;
}

export interface SpoolMark {
  count: number;
  samples: number;
  missing: number;
  counts: Counts;
  metrics: number;
  tapes: SpillPlace[];
}

/**
 * The results of one run. They stay in memory, or, if a folder is given, move beyond a few MiB to files in it, so that a
 * run of any size is complete before a transaction begins. Always call `dispose`.
 */
export class ResultSpool {
  /** Number of results, including missing ones. */
  count = 0;
  samples = 0;
  /** Number of results that the source planned but did not report; `not_run` in `counts`. */
  missing = 0;
  counts: Counts = {};
  readonly caseIds = new CaseIds();
  /** The `tests.cases_version` that `caseIds` are valid for; undefined while no id is known. */
  casesVersion: number | undefined;
  /** Indexes of the samples' metrics by `<name>\t<unit>`, escaped for `copy`. */
  readonly metrics = new Map<string, number>();
  /** One line each: names; results without their names; samples as result index, metric index, value. */
  readonly #names: SpillBuffer;
  readonly #rests: SpillBuffer;
  readonly #sampled: SpillBuffer;
  #lookUp: LookUp | undefined;
  #pending: { names: string[]; places: number[] } = { names: [], places: [] };
  #lookups = new Set<Promise<void>>();
  #fault: unknown;

  constructor(folder?: string) {
    this.#names = new SpillBuffer(folder);
    this.#rests = new SpillBuffer(folder);
    this.#sampled = new SpillBuffer(folder);
  }

  /** Resolves ids while results are being added, so that the database works meanwhile. Call it before `add`. */
  lookUpBy(lookUp: LookUp): void {
    this.#lookUp = lookUp;
    this.casesVersion = lookUp.casesVersion;
  }

  /** Clears the known ids if they are valid for another `tests.cases_version`. */
  expectVersion(casesVersion: number): void {
    if (this.casesVersion !== casesVersion) this.caseIds.forget();
    this.casesVersion = casesVersion;
  }

  add(record: ResultRecord, isMissing = false): void {
    const place = this.count++;
    this.counts[record.outcome] = (this.counts[record.outcome] ?? 0) + 1;
    if (isMissing) this.missing++;
    this.caseIds.grow();
    this.#names.write(`${copyValue(record.case)}\n`);
    this.#rests.write(`${resultRest(record)}\n`);
    for (const { metric, value, unit = "" } of record.samples ?? []) {
      const key = `${copyValue(metric)}\t${copyValue(unit)}`;
      let at = this.metrics.get(key);
      if (at === undefined) this.metrics.set(key, at = this.metrics.size);
      this.#sampled.write(`${place}\t${at}\t${sampleRest(value)}\n`);
      this.samples++;
    }
    if (this.#lookUp === undefined) return;
    const id = this.#lookUp.now(record.case);
    if (id !== 0) return this.caseIds.set(place, id);
    const { names, places } = this.#pending;
    names.push(record.case);
    places.push(place);
    if (names.length % FREED_AT_ONCE === 0) names.push(...freed(names.splice(-FREED_AT_ONCE)));
    if (names.length >= NAMES_AT_ONCE) this.#startLookup(this.#lookUp);
  }

  /** Whether the caller should await `ready` before it adds more. */
  get isBusy(): boolean {
    return this.#lookups.size >= MAX_LOOKUPS;
  }

  /** Waits until more can be added. @throws the error of a lookup */
  async ready(): Promise<void> {
    await Promise.race(this.#lookups);
    if (this.#fault !== undefined) throw this.#fault;
  }

  /** Waits for all lookups. @throws the error of a lookup */
  async settle(): Promise<void> {
    if (this.#lookUp !== undefined && this.#pending.names.length > 0) this.#startLookup(this.#lookUp);
    await Promise.all(this.#lookups);
    if (this.#fault !== undefined) throw this.#fault;
  }

  #startLookup(lookUp: LookUp): void {
    const { names, places } = this.#pending;
    this.#pending = { names: [], places: [] };
    const lookup: Promise<void> = lookUp.later(names).then((ids) => {
      ids.forEach((id, at) => this.caseIds.set(places[at]!, id));
    }, (error) => {
      this.#fault = error;
    }).finally(() => this.#lookups.delete(lookup));
    this.#lookups.add(lookup);
  }

  /** Returns a position for `rewind`. */
  mark(): SpoolMark {
    const { count, samples, missing, counts } = this;
    const tapes = [this.#names, this.#rests, this.#sampled].map((tape) => tape.mark());
    return { count, samples, missing, counts: { ...counts }, metrics: this.metrics.size, tapes };
  }

  /** Removes everything added since the mark. */
  async rewind(mark: SpoolMark): Promise<void> {
    await this.settle();
    this.count = mark.count;
    this.samples = mark.samples;
    this.missing = mark.missing;
    this.counts = { ...mark.counts };
    this.caseIds.cut(mark.count);
    for (const key of [...this.metrics.keys()].slice(mark.metrics)) this.metrics.delete(key);
    [this.#names, this.#rests, this.#sampled].forEach((tape, at) => tape.rewind(mark.tapes[at]!));
  }

  /** Counts by outcome, without missing results. */
  get reportedCounts(): Counts {
    const { not_run = 0, ...counts } = this.counts;
    return not_run > this.missing ? { ...counts, not_run: not_run - this.missing } : counts;
  }

  /** Number of bytes added, not counting the last few KiB. */
  get bytes(): number {
    return this.#names.bytes + this.#rests.bytes + this.#sampled.bytes;
  }

  /** Hash of everything added, in hexadecimal. */
  digest(): string {
    const hash = createHash("sha256").update([...this.metrics.keys()].join("\n"));
    for (const tape of [this.#names, this.#rests, this.#sampled]) hash.update(tape.digest());
    return hash.digest("hex");
  }

  /** Yields the names in order, escaped for `copy`. */
  names(): Generator<string[]> {
    return this.#names.lines();
  }

  rests(): Generator<string[]> {
    return this.#rests.lines();
  }

  sampled(): Generator<string[]> {
    return this.#sampled.lines();
  }

  dispose(): void {
    for (const tape of [this.#names, this.#rests, this.#sampled]) tape.dispose();
  }
}

/**
 * Copies texts out of the text that they are slices of: V8 keeps the whole chunk of a file in memory while a slice of it
 * exists.
 */
function freed(texts: string[]): string[] {
  const all = texts.join("");
  let at = 0;
  return texts.map((text) => all.slice(at, at += text.length));
}

/** Makes a spool of a few records in memory. */
export function spoolOf(records: Iterable<ResultRecord>): ResultSpool {
  const spool = new ResultSpool();
  for (const record of records) spool.add(record);
  return spool;
}

/** Makes a spool of records in memory, with the ids of names known now. */
export async function spoolKnown(
  records: readonly ResultRecord[],
  known: Omit<LookUp, "later">,
): Promise<ResultSpool> {
  const spool = new ResultSpool();
  spool.casesVersion = known.casesVersion;
  for (const [at, record] of records.entries()) {
    if (turns.isOver) await turns.take();
    spool.add(record);
    const id = known.now(record.case);
    if (id !== 0) spool.caseIds.set(at, id);
  }
  return spool;
}
