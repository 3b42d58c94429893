/**
 * Number of trials of a fault suite: CHUB_FAULT_TRIALS, else `few`, or `many` under `deno task faults`. The files of
 * tests/faults use the counts and seeds of this module, and end with `report`.
 */
export function trialCount(few: number, many: number): number {
  const named = Number(Deno.env.get("CHUB_FAULT_TRIALS"));
  if (named > 0) return named;
  return Deno.env.get("CHUB_FAULT_LONG") === undefined ? few : many;
}

/** Time limit of a test of many trials, whose steps have separate limits. */
export const FAULTS_MS = 3_600_000;

export interface Random {
  /** Uniform in [0, 1). */
  next(): number;
  /** An integer from 0 up to but excluding `below`. */
  below(below: number): number;
  pick<T>(values: readonly T[]): T;
}

/** CHUB_FAULT_SEED, else a new seed. */
export function faultSeed(): number {
  const named = Deno.env.get("CHUB_FAULT_SEED");
  return named === undefined ? crypto.getRandomValues(new Uint32Array(1))[0]! : Number(named) >>> 0;
}

/** Random numbers of a trial (Mulberry32), determined by the seed and the trial's number only. */
export function seeded(seed: number, trial: number): Random {
  let state = seed ^ Math.imul(trial + 1, 0x9e3779b1);
  const next = () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (limit: number) => Math.floor(next() * limit);
  return { next, below, pick: (values) => values[below(values.length)]! };
}

/** Shuffles values by `random`. */
export function shuffled<T>(values: readonly T[], random: Random): T[] {
  return values.map((value) => ({ value, at: random.next() })).toSorted((one, other) => one.at - other.at)
    .map(({ value }) => value);
}

/** Prints one line per suite: its trials, seed and failures. */
export function report(suite: string, figures: Record<string, number>): void {
  const words = Object.entries(figures).map(([name, value]) => `${name} ${value}`);
  console.log(`faults: ${suite}: ${words.join(", ")}`);
}
