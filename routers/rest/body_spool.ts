import { openSpoolFile, spoolFault, writeAll } from "../../db/core/spool_file.ts";

/** Maximum bytes kept in memory; a longer body is written to a file. */
const KEPT = 1 << 20;
/** Size of a chunk read back from the file, in bytes. */
const READ_BACK = 1 << 16;

/**
 * Receives a body of unstated length (`Transfer-Encoding: chunked`) completely before it yields the first byte. If such a body
 * is consumed slowly, for example by a parser, Deno 2.9 buffers it without limit: a 400 MB body took 374 MB of memory, while a
 * 1 GB body received first took 205 MB.
 * @throws HubError INSUFFICIENT_STORAGE, SERVICE_UNAVAILABLE, and what `chunks` throws
 */
export async function* receiveFirst(
  chunks: AsyncIterable<Uint8Array>,
  folder: string,
): AsyncGenerator<Uint8Array> {
  // Chunks are copied, because a chunk of a few bytes can retain a large buffer.
  const block = new Uint8Array(KEPT);
  let used = 0;
  let file: Deno.FsFile | undefined;
  const write = (bytes: Uint8Array) => {
    try {
      file ??= openSpoolFile(folder);
      writeAll(file, bytes);
    } catch (error) {
      throw spoolFault(error);
    }
  };
  try {
    for await (const chunk of chunks) {
      if (used + chunk.byteLength > KEPT) {
        write(block.subarray(0, used));
        used = 0;
      }
      if (chunk.byteLength > KEPT) write(chunk);
      else {
        block.set(chunk, used);
        used += chunk.byteLength;
      }
    }
    if (file !== undefined) yield* readBack(file);
    if (used > 0) yield block.subarray(0, used);
  } finally {
    file?.close();
  }
}

function* readBack(file: Deno.FsFile): Generator<Uint8Array> {
  file.seekSync(0, Deno.SeekMode.Start);
  while (true) {
    const bytes = new Uint8Array(READ_BACK);
    const size = file.readSync(bytes);
    if (size === null) return;
    yield bytes.subarray(0, size);
  }
}
