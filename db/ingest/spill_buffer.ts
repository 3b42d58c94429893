import { Buffer } from "node:buffer";
import { createHash, type Hash } from "node:crypto";
import { openSpoolFile, spoolFault, writeAll } from "../core/spool_file.ts";

/** Number of characters joined before they are encoded. */
const BLOCK = 1 << 16;
/** Number of bytes kept in memory before they are written to the file. */
const MEMORY_BYTES = 1 << 20;
/** Number of bytes read back at once. */
const CHUNK = 1 << 16;

export interface SpillPlace {
  bytes: number;
  hash: Hash;
}

/**
 * A buffer for text that is written once and then read. It stays in memory, or, if a folder is given, moves beyond 1 MiB
 * to an unlinked file in it, which disappears with the process even after a crash.
 */
export class SpillBuffer {
  #pending: string[] = [];
  #pendingLength = 0;
  #blocks: Buffer[] = [];
  #memoryBytes = 0;
  #file: Deno.FsFile | undefined;
  #fileBytes = 0;
  #hash = createHash("sha256");
  #folder: string | undefined;
  #open: (folder: string) => Deno.FsFile;

  /** `open` creates the file; a test may pass a function that fails. */
  constructor(folder?: string, open: (folder: string) => Deno.FsFile = openSpoolFile) {
    this.#folder = folder;
    this.#open = open;
  }

  write(text: string): void {
    this.#pending.push(text);
    this.#pendingLength += text.length;
    if (this.#pendingLength >= BLOCK) this.#settle();
  }

  /** Number of bytes written, not counting the last few KiB. */
  get bytes(): number {
    return this.#fileBytes + this.#memoryBytes;
  }

  mark(): SpillPlace {
    this.#settle();
    return { bytes: this.bytes, hash: this.#hash.copy() };
  }

  rewind({ bytes, hash }: SpillPlace): void {
    this.#pending = [];
    this.#pendingLength = 0;
    this.#hash = hash.copy();
    if (bytes < this.#fileBytes) {
      this.#file!.truncateSync(bytes);
      this.#file!.seekSync(bytes, Deno.SeekMode.Start);
      this.#fileBytes = bytes;
    }
    const kept = Buffer.concat(this.#blocks).subarray(0, bytes - this.#fileBytes);
    this.#blocks = kept.length === 0 ? [] : [kept];
    this.#memoryBytes = kept.length;
  }

  /** SHA-256 of everything written. */
  digest(): Buffer {
    this.#settle();
    return this.#hash.copy().digest();
  }

  *read(): Generator<Uint8Array> {
    this.#settle();
    if (this.#file !== undefined) {
      this.#file.seekSync(0, Deno.SeekMode.Start);
      let left = this.#fileBytes;
      while (left > 0) {
        const chunk = new Uint8Array(Math.min(CHUNK, left));
        const size = this.#file.readSync(chunk) ?? 0;
        if (size === 0) throw new Error("The spool file is shorter than what was written to it.");
        left -= size;
        yield chunk.subarray(0, size);
      }
    }
    yield* this.#blocks;
  }

  /** Yields the lines written, in groups. Every line was written with its line feed. */
  *lines(): Generator<string[]> {
    const decoder = new TextDecoder();
    let rest = "";
    for (const bytes of this.read()) {
      const lines = (rest + decoder.decode(bytes, { stream: true })).split("\n");
      rest = lines.pop()!;
      if (lines.length > 0) yield lines;
    }
  }

  dispose(): void {
    this.#file?.close();
    this.#file = undefined;
    this.#fileBytes = 0;
    this.#blocks = [];
    this.#pending = [];
  }

  #settle(): void {
    if (this.#pending.length === 0) return;
    const block = Buffer.from(this.#pending.join(""));
    this.#pending = [];
    this.#pendingLength = 0;
    this.#hash.update(block);
    this.#blocks.push(block);
    this.#memoryBytes += block.length;
    if (this.#folder !== undefined && this.#memoryBytes >= MEMORY_BYTES) this.#spill(this.#folder);
  }

  /** @throws HubError INSUFFICIENT_STORAGE, SERVICE_UNAVAILABLE */
  #spill(folder: string): void {
    try {
      this.#file ??= this.#open(folder);
      for (const block of this.#blocks) writeAll(this.#file, block);
    } catch (error) {
      throw spoolFault(error);
    }
    this.#fileBytes += this.#memoryBytes;
    this.#blocks = [];
    this.#memoryBytes = 0;
  }
}
