const BLOCK = 1 << 16;

/** Ids of the cases of a run's results, by the result's place from 0; 0 where not known yet. Grows without moving. */
export class CaseIds {
  #blocks: Int32Array[] = [];
  #unknown = 0;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** Places that hold no id yet. */
  get unknown(): number {
    return this.#unknown;
  }

  grow(): void {
    if (this.#length++ % BLOCK === 0) this.#blocks.push(new Int32Array(BLOCK));
    this.#unknown++;
  }

  get(place: number): number {
    return this.#blocks[Math.floor(place / BLOCK)]![place % BLOCK]!;
  }

  set(place: number, id: number): void {
    const block = this.#blocks[Math.floor(place / BLOCK)]!;
    if (block[place % BLOCK] === 0 && id !== 0) this.#unknown--;
    block[place % BLOCK] = id;
  }

  /** Keeps the places, without their ids. */
  forget(): void {
    for (const block of this.#blocks) block.fill(0);
    this.#unknown = this.#length;
  }

  /** Forgets the places from `length` on. */
  cut(length: number): void {
    for (let place = length; place < this.#length; place++) {
      if (this.get(place) === 0) this.#unknown--;
      this.#blocks[Math.floor(place / BLOCK)]![place % BLOCK] = 0;
    }
    this.#length = length;
    this.#blocks.length = Math.ceil(length / BLOCK);
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
