import { ContainerError } from "./unpack_meter.ts";

/**
 * Passes on the frames of a zstd file (RFC 8878, section 3) and checks that the last is complete. Deno's decompressor accepts a
 * truncated file, and does not know skippable frames, which pzstd writes. @throws ContainerError when a frame is truncated
 */
export async function* wholeZstd(input: AsyncIterable<Uint8Array>, name: string): AsyncGenerator<Uint8Array> {
  const frames = new Frames();
  for await (const chunk of input) {
    yield* frames.read(chunk);
  }
  if (!frames.isWhole) throw new ContainerError("zstd", `${name}: it is truncated`);
}

/** The part of a frame that is read next. */
type State = "magic" | "skippable" | "descriptor" | "rest of the header" | "block" | "content" | "checksum";

class Frames {
  #state: State = "magic";
  #needed = 4;
  #header: number[] = [];
  /** Bytes left of the block or skippable frame. */
  #skip = 0;
  #hasChecksum = false;
  #isLast = false;

  get isWhole(): boolean {
    return this.#state === "magic" && this.#header.length === 0 && this.#skip === 0;
  }

  /** The parts of a chunk that belong to frames with content. */
  *read(chunk: Uint8Array): Generator<Uint8Array> {
    let at = 0;
    while (at < chunk.length) {
      if (this.#skip > 0) {
        const passed = Math.min(this.#skip, chunk.length - at);
        if (this.#state === "content") yield chunk.subarray(at, at + passed);
        this.#skip -= passed;
        at += passed;
        if (this.#skip === 0 && this.#state === "content") this.#afterBlock();
        continue;
      }
      this.#header.push(chunk[at++]!);
      if (this.#header.length < this.#needed) continue;
      const header = this.#header.splice(0);
      const wasSkippable = this.#state === "skippable";
      this.#step(header);
      if (!wasSkippable && this.#state !== "skippable") yield Uint8Array.from(header);
    }
  }

  #expect(state: State, needed: number): void {
    this.#state = state;
    this.#needed = needed;
  }

  #step(bytes: number[]): void {
    const number = bytes.reduceRight((sum, byte) => sum * 256 + byte, 0);
    if (this.#state === "magic") {
      const isSkippable = number >= 0x184d2a50 && number <= 0x184d2a5f;
      this.#expect(isSkippable ? "skippable" : "descriptor", isSkippable ? 4 : 1);
    } else if (this.#state === "skippable") {
      this.#expect("magic", 4);
      this.#skip = number;
    } else if (this.#state === "descriptor") {
      this.#hasChecksum = (number & 4) !== 0;
      const isSingle = (number & 32) !== 0;
      const size = [isSingle ? 1 : 0, 2, 4, 8][number >> 6]!;
      const header = (isSingle ? 0 : 1) + [0, 1, 2, 4][number & 3]! + size;
      this.#expect("rest of the header", header);
    } else if (this.#state === "rest of the header") this.#expect("block", 3);
    else if (this.#state === "block") {
      this.#isLast = (number & 1) === 1;
      // A run-length block has one byte.
      this.#skip = (number >> 1 & 3) === 1 ? 1 : number >> 3;
      this.#state = "content";
      if (this.#skip === 0) this.#afterBlock();
    } else this.#expect("magic", 4);
  }

  #afterBlock(): void {
    if (!this.#isLast) this.#expect("block", 3);
    else if (this.#hasChecksum) this.#expect("checksum", 4);
    else this.#expect("magic", 4);
  }
}
