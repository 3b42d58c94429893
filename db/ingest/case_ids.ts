const BLOCK = 1 << 16;

/** Case ids of a run's results, by the result's index from 0; 0 while unknown. It grows without copying. */
export class CaseIds {
  #blocks: Int32Array[] = [];
  /** Number of results without an id, per block. */
  #unknownOf: number[] = [];
  #unknown = 0;
  #length = 0;
  #least = Infinity;
  #most = 0;

  get length(): number {
    return this.#length;
  }

  /** Number of results without an id. */
  get unknown(): number {
    return this.#unknown;
  }

  /** The smallest id. */
  get least(): number {
    return this.#least;
  }

  /** The largest id. */
  get most(): number {
    return this.#most;
  }

  grow(): void {
    if (this.#length++ % BLOCK === 0) {
      this.#blocks.push(new Int32Array(BLOCK));
      this.#unknownOf.push(0);
    }
    this.#unknownOf[this.#unknownOf.length - 1]!++;
    this.#unknown++;
  }

  get(place: number): number {
    return this.#blocks[Math.floor(place / BLOCK)]![place % BLOCK]!;
  }

  set(place: number, id: number): void {
    const at = Math.floor(place / BLOCK);
    const block = this.#blocks[at]!;
    if (block[place % BLOCK] === 0 && id !== 0) {
      this.#unknown--;
      this.#unknownOf[at]!--;
    }
    if (id !== 0 && id < this.#least) this.#least = id;
    if (id > this.#most) this.#most = id;
    block[place % BLOCK] = id;
  }

  /** Clears the ids, and keeps the length. */
  forget(): void {
    for (const [at, block] of this.#blocks.entries()) {
      block.fill(0);
      this.#unknownOf[at] = Math.min(BLOCK, this.#length - at * BLOCK);
    }
    this.#unknown = this.#length;
    this.#least = Infinity;
    this.#most = 0;
  }

  /** Truncates to `length`. */
  cut(length: number): void {
    const blocks = Math.ceil(length / BLOCK);
    for (const unknown of this.#unknownOf.splice(blocks)) this.#unknown -= unknown;
    this.#blocks.length = blocks;
    for (let place = length; place < Math.min(this.#length, blocks * BLOCK); place++) {
      if (this.get(place) === 0) {
        this.#unknown--;
        this.#unknownOf[blocks - 1]!--;
      }
      this.#blocks[blocks - 1]![place % BLOCK] = 0;
    }
    this.#length = length;
  }
}

/** Counts how often each number from 0 occurred. Small if nearly all numbers occur once. */
export class Ordinals {
  #seen: Uint8Array;
  #again = new Map<number, number>();

  constructor(most: number) {
    this.#seen = new Uint8Array(Math.floor(most / 8) + 1);
  }

  next(number: number): number {
    const bit = 1 << (number & 7);
    if ((this.#seen[number >> 3]! & bit) === 0) {
      this.#seen[number >> 3]! |= bit;
      return 1;
    }
    const ordinal = (this.#again.get(number) ?? 1) + 1;
    this.#again.set(number, ordinal);
    return ordinal;
  }
}
