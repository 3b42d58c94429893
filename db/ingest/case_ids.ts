const BLOCK = 1 << 16;

/** Ids of the cases of a run's results, by the result's place from 0; 0 where not known yet. Grows without moving. */
export class CaseIds {
  #blocks: Int32Array[] = [];
  /** Places of each block without an id yet. */
  #unknownOf: number[] = [];
  #unknown = 0;
  #length = 0;
  #least = Infinity;
  #most = 0;

  get length(): number {
    return this.#length;
  }

  /** Places without an id yet. */
  get unknown(): number {
    return this.#unknown;
  }

  /** No id is less. */
  get least(): number {
    return this.#least;
  }

  /** No id is greater. */
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

  /** Keeps the places, without their ids. */
  forget(): void {
    for (const [at, block] of this.#blocks.entries()) {
      block.fill(0);
      this.#unknownOf[at] = Math.min(BLOCK, this.#length - at * BLOCK);
    }
    this.#unknown = this.#length;
    this.#least = Infinity;
    this.#most = 0;
  }

  /** Forgets the places from `length` on. */
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

/** Tells the nth time that something with a number from 0 is counted; small where nearly all come once. */
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
