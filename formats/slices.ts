import { turns } from "../turns.ts";

/** Bytes passed to a parser at once, which take it a few milliseconds. */
export const SLICE_BYTES = 1 << 15;

/** Yields the same bytes in slices of `SLICE_BYTES`, letting other work run before each. */
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
