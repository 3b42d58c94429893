import { openSpoolFile, spoolFault, writeAll } from "../../db/core/spool_file.ts";

/** Bytes that are kept in memory; a longer body goes to a file. */
const KEPT = 1 << 20;
/** Bytes that are read back at once. */
const READ_BACK = 1 << 16;

/**
 * The bytes of a body whose length was not stated, received whole, as fast as they come, before the first is given. Deno 2.9
 * reads such a body (`Transfer-Encoding: chunked`) ahead without a bound while it is taken slowly, as by a parser: a hub took
 * 374 MB of memory for one of 400 MB, and 205 MB for one of 1 GB that is received first.
 * @throws HubError INSUFFICIENT_STORAGE, SERVICE_UNAVAILABLE, and what `chunks` throws
 */
export async function* receiveFirst(
  chunks: AsyncIterable<Uint8Array>,
  folder: string,
): AsyncGenerator<Uint8Array> {
  // Copied together: a chunk of a few bytes may keep a large buffer in memory.
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
