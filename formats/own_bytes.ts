/**
 * A chunk for a list of chunks. Deno reads networks and files into buffers of 64 KiB, also for a few bytes, and a chunk keeps
 * the whole buffer: a list of small ones takes hundreds of times their bytes.
 */
export function ownBytes(chunk: Uint8Array): Uint8Array {
  return chunk.byteLength * 2 < chunk.buffer.byteLength ? chunk.slice() : chunk;
}
