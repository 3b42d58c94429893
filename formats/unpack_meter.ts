import { HubError } from "../errors.ts";
import { FormatError } from "./format.ts";

export interface UnpackLimits {
  /** Most bytes that an input may unpack to. */
  maxBytes?: number;
  /** Most unpacked bytes per packed byte, checked above 32 MiB of unpacked bytes. */
  maxRatio?: number;
}

const MAX_BYTES = 4 * 2 ** 30;
const MAX_RATIO = 250;
const FREE_BYTES = 32 << 20;
const MAX_ENTRIES = 10_000;

/** A damaged container; nothing after the damage can be read. */
export class ContainerError extends FormatError {}

/** Counts the bytes of the outermost container, and the unpacked bytes of all containers. */
export class Meter {
  packed = 0;
  entries = 0;
  /** The error of the input itself, which is not a damaged container. */
  fault: unknown;
  #unpacked = 0;
  #maxBytes: number;
  #maxRatio: number;

  constructor({ maxBytes = MAX_BYTES, maxRatio = MAX_RATIO }: UnpackLimits) {
    this.#maxBytes = maxBytes;
    this.#maxRatio = maxRatio;
  }

  async *packs(input: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    try {
      for await (const chunk of input) {
        this.packed += chunk.length;
        yield chunk;
      }
    } catch (error) {
      this.fault = error;
      throw error;
    }
  }

  /** Counts a container's unpacked bytes, and turns its library's errors into `ContainerError`. */
  unpacks(kind: string, name: string, input: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    return this.#passes(kind, name, input, true);
  }

  /** Like `unpacks`, for a container without compression whose bytes were already counted. */
  passes(kind: string, name: string, input: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    return this.#passes(kind, name, input, false);
  }

  async *#passes(
    kind: string,
    name: string,
    input: AsyncIterable<Uint8Array>,
    isCounted: boolean,
  ): AsyncGenerator<Uint8Array> {
    try {
      for await (const chunk of input) {
        if (isCounted) this.#count(name, chunk.length);
        yield chunk;
      }
    } catch (error) {
      throw this.damage(kind, name, error);
    }
  }

  #count(name: string, bytes: number): void {
    this.#unpacked += bytes;
    const isBomb = this.#unpacked > FREE_BYTES && this.#unpacked > this.packed * this.#maxRatio;
    if (!isBomb && this.#unpacked <= this.#maxBytes) return;
    throw new HubError(
      "PAYLOAD_TOO_LARGE",
      isBomb
        ? `${
          quoted(name)
        } unpacks to more than ${this.#maxRatio} times its size (now: ${this.#unpacked} bytes of ${this.packed}).`
        : `${quoted(name)} unpacks to more than the limit of ${this.#maxBytes} bytes.`,
    );
  }

  /** Returns the error to throw for an error caught while reading a container. */
  damage(kind: string, name: string, error: unknown): unknown {
    if (this.fault !== undefined) return this.fault;
    if (error instanceof HubError || !(error instanceof Error)) return error;
    return new ContainerError(kind, `${quoted(name)}: ${error.message.slice(0, 200)}`, { cause: error });
  }

  entry(name: string): void {
    if (++this.entries > MAX_ENTRIES) {
      throw new HubError("PAYLOAD_TOO_LARGE", `${quoted(name)} contains more than ${MAX_ENTRIES} files.`);
    }
  }
}

export function quoted(name: string): string {
  return JSON.stringify(name.slice(-200) || "The file");
}
