import { turns } from "../turns.ts";

/** Bytes that a parser is handed at once: it takes some milliseconds for them. */
export const SLICE_BYTES = 1 << 15;

/** The same bytes in pieces that a parser takes a few milliseconds for, each in its turn. */
export async function* sliced(
  input: AsyncIterable<Uint8Array>,
  taken: Pick<typeof turns, "take"> = turns,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of input) {
    for (let at = 0; at < chunk.length; at += SLICE_BYTES) {
      await taken.take();
      yield chunk.subarray(at, at + SLICE_BYTES);
    }
  }
}
