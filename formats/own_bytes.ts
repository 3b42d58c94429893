/**
 * Copies a small chunk, so that it can be kept. Deno reads networks and files into buffers of 64 KiB, even for a few bytes, and a
 * chunk keeps the whole buffer alive: a list of small chunks takes hundreds of times their size.
 */
export function ownBytes(chunk: Uint8Array): Uint8Array {
  return chunk.byteLength * 2 < chunk.buffer.byteLength ? chunk.slice() : chunk;
}
