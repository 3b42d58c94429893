import { HubError } from "../../errors.ts";
import { FormatError, type FormatItem, HEAD_BYTES, type ResultFormat } from "./format.ts";
import { junit } from "./junit.ts";
import { subtests } from "./subtests.ts";

export { FormatError, type FormatItem, HEAD_BYTES, type ResultFormat };

/** Every kind of result file, asked in this order. A new one is added here. */
export const formats: readonly ResultFormat[] = [junit, subtests];

export function findFormat(fileName: string, head: Uint8Array): ResultFormat | undefined {
  const name = fileName.split(/[\\/]/).at(-1)!;
  return formats.find((format) => format.recognises(name, head));
}

/** The format of a file, by its name and first bytes. @throws HubError UNSUPPORTED_MEDIA_TYPE that lists the known ones */
export function detectFormat(fileName: string, head: Uint8Array): ResultFormat {
  const format = findFormat(fileName, head);
  if (format !== undefined) return format;
  throw new HubError(
    "UNSUPPORTED_MEDIA_TYPE",
    `${JSON.stringify(fileName.slice(0, 100))} is of no known format; known are ${
      formats.map((one) => one.summary).join(", ")
    }.`,
  );
}

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
    chunks.push(value);
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
