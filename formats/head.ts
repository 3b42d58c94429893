import { ownBytes } from "./own_bytes.ts";
import { HEAD_BYTES } from "./format.ts";

/** A stream that can be closed without reading it. */
export interface Joined extends AsyncIterableIterator<Uint8Array> {
  return(): Promise<IteratorResult<Uint8Array>>;
}

/** Reads the first `HEAD_BYTES` of a stream. Returns them, and the whole stream including them; close it with `return`. */
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

/** Written without a generator: one that has not started would not close its source. */
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
