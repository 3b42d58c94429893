import { createHash } from "node:crypto";
import { turns } from "../../turns.ts";
import type { Counts } from "../../schemas/outcome.ts";
import type { ResultRecord } from "../../schemas/record.ts";
import { CaseIds } from "./case_ids.ts";
import { copyValue } from "../core/copy.ts";
import { resultRest, sampleRest } from "./copy_format.ts";
import { SpillBuffer, type SpillPlace } from "./spill_buffer.ts";

/** Names that are looked up at once. */
export const NAMES_AT_ONCE = 20_000;
/** Names that are cut free of the file's text at once. */
const FREED_AT_ONCE = 256;
/** Lookups under way at once, of one spool. */
const MAX_LOOKUPS = 2;

/** Looks names up: their ids, 0 for those that are not known. */
export interface LookUp {
  /** `tests.cases_version` that the ids hold for. */
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
 * The results of one run, in memory, and where a folder is named, in files of it beyond a few MiB, so that a run of any size
 * is whole before a transaction is opened. Call `dispose` in any case.
 */
export class ResultSpool {
  /** Results, those that are missing among them. */
  count = 0;
  samples = 0;
  /** Planned by the source, yet without a result; `not_run` in `counts`. */
  missing = 0;
  counts: Counts = {};
  readonly caseIds = new CaseIds();
  /** `tests.cases_version` that `caseIds` hold for; undefined where none is known. */
  casesVersion: number | undefined;
  /** Metrics of the samples, `<name>\t<unit>` escaped for `copy` -> place. */
  readonly metrics = new Map<string, number>();
  /** A line each: names; results without their names; samples as result's place, metric's place, value. */
  readonly #names: SpillBuffer;
  readonly #rests: SpillBuffer;
  readonly #sampled: SpillBuffer;
  #lookUp: LookUp | undefined;
  #asked: { names: string[]; places: number[] } = { names: [], places: [] };
  #lookups = new Set<Promise<void>>();
  #fault: unknown;

  constructor(folder?: string) {
    this.#names = new SpillBuffer(folder);
    this.#rests = new SpillBuffer(folder);
    this.#sampled = new SpillBuffer(folder);
  }

  /** Asks for the ids of names while more is being added, so that the database works meanwhile. Call it before `add`. */
  lookUpBy(lookUp: LookUp): void {
    this.#lookUp = lookUp;
    this.casesVersion = lookUp.casesVersion;
  }

  /** Forgets the ids that are known, where they hold for another `tests.cases_version`. */
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
    const { names, places } = this.#asked;
    names.push(record.case);
    places.push(place);
    if (names.length % FREED_AT_ONCE === 0) names.push(...freed(names.splice(-FREED_AT_ONCE)));
    if (names.length >= NAMES_AT_ONCE) this.#ask(this.#lookUp);
  }

  /** Whether it is better to wait by `ready` before more is added. */
  get isBusy(): boolean {
    return this.#lookups.size >= MAX_LOOKUPS;
  }

  /** @throws what a look-up threw */
  async ready(): Promise<void> {
    await Promise.race(this.#lookups);
    if (this.#fault !== undefined) throw this.#fault;
  }

  /** Waits for what is being looked up. @throws what a look-up threw */
  async settle(): Promise<void> {
    if (this.#lookUp !== undefined && this.#asked.names.length > 0) this.#ask(this.#lookUp);
    await Promise.all(this.#lookups);
    if (this.#fault !== undefined) throw this.#fault;
  }

  #ask(lookUp: LookUp): void {
    const { names, places } = this.#asked;
    this.#asked = { names: [], places: [] };
    const lookup: Promise<void> = lookUp.later(names).then((ids) => {
      ids.forEach((id, at) => this.caseIds.set(places[at]!, id));
    }, (error) => {
      this.#fault = error;
    }).finally(() => this.#lookups.delete(lookup));
    this.#lookups.add(lookup);
  }

  /** A place that `rewind` goes back to. */
  mark(): SpoolMark {
    const { count, samples, missing, counts } = this;
    const tapes = [this.#names, this.#rests, this.#sampled].map((tape) => tape.mark());
    return { count, samples, missing, counts: { ...counts }, metrics: this.metrics.size, tapes };
  }

  /** Forgets what was added since the mark. */
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

  /** Counts by outcome, without what is missing. */
  get told(): Counts {
    const { not_run = 0, ...counts } = this.counts;
    return not_run > this.missing ? { ...counts, not_run: not_run - this.missing } : counts;
  }

  /** Bytes of all that was added, without those of the last few KiB. */
  get bytes(): number {
    return this.#names.bytes + this.#rests.bytes + this.#sampled.bytes;
  }

  /** Hash of all that was added, in hexadecimal. */
  digest(): string {
    const hash = createHash("sha256").update([...this.metrics.keys()].join("\n"));
    for (const tape of [this.#names, this.#rests, this.#sampled]) hash.update(tape.digest());
    return hash.digest("hex");
  }

  /** Names in their order, escaped for `copy`. */
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

/** The same texts, without those they were cut out of: V8 holds the whole piece of a file as long as a name of it is held. */
function freed(texts: string[]): string[] {
  const all = texts.join("");
  let at = 0;
  return texts.map((text) => all.slice(at, at += text.length));
}

/** A spool of a few records that are in memory already. */
export function spoolOf(records: Iterable<ResultRecord>): ResultSpool {
  const spool = new ResultSpool();
  for (const record of records) spool.add(record);
  return spool;
}

/** A spool of records that are in memory already, with the ids of names that are known now. */
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
