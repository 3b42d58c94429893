import { ownBytes } from "./own_bytes.ts";
import { HEAD_BYTES } from "./format.ts";

/** A stream that can be closed unread. */
export interface Joined extends AsyncIterableIterator<Uint8Array> {
  return(): Promise<IteratorResult<Uint8Array>>;
}

/** Reads on `stream` until its head is whole. Returns the head, and all of the stream, head included; close it by `return`. */
export async function splitHead(
  stream: AsyncIterable<Uint8Array>,
): Promise<{ head: Uint8Array; all: Joined }> {
  const iterator = stream[Symbol.asyncIterator]();
  const chunks: Uint8Array[] = [];
  let size = 0;
  while (size < HEAD_BYTES) {
    const { value, done } = await iterator.next();
    if (done) break;
    chunks.push(ownBytes(value));
    size += value.byteLength;
  }
  const head = new Uint8Array(Math.min(size, HEAD_BYTES));
  let at = 0;
  for (const chunk of chunks) {
    if (at >= head.length) break;
    head.set(chunk.subarray(0, head.length - at), at);
    at += chunk.length;
  }
  return { head, all: joined(chunks, iterator) };
}

/** By hand: a generator that was not begun yet would not close its source. */
function joined(chunks: Uint8Array[], iterator: AsyncIterator<Uint8Array>): Joined {
  return {
    [Symbol.asyncIterator]() {
      return this;
    },
    async next() {
      const value = chunks.shift();
      return value === undefined ? await iterator.next() : { value, done: false };
    },
    async return() {
      chunks.length = 0;
      await iterator.return?.();
      return { value: undefined, done: true };
    },
  };
}
