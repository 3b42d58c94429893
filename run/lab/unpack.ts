import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import tar from "tar-stream";

/** A file out of a tar archive. */
interface TarFile {
  path: string;
  content: Uint8Array;
}

/**
 * Reads a gzipped tar of plain files and folders.
 * @throws Error where it has a link, a special file, an absolute path or `..`, unpacks to more than `maxBytes`, or is cut short
 */
export async function readTgz(packed: Uint8Array, maxBytes: number): Promise<TarFile[]> {
  const extract = tar.extract();
  const unpacked = pipeline(Readable.from([packed]), createGunzip(), limited(maxBytes), extract);
  const files: TarFile[] = [];
  const read = async () => {
    for await (const entry of extract) {
      const { name: path, type } = entry.header;
      if (path.startsWith("/") || path.includes("\\") || path.split("/").includes("..")) {
        throw new Error(`the build's archive contains the path ${JSON.stringify(path)}`);
      }
      if (type !== "file" && type !== "directory") {
        throw new Error(`the build's archive contains ${JSON.stringify(path)}, a link or a special file`);
      }
      const content = await new Blob(await Array.fromAsync(entry) as BlobPart[]).bytes();
      if (type === "file") files.push({ path, content });
    }
  };
  await Promise.all([unpacked, read()]);
  return files;
}

/** Passes bytes on, up to a limit. */
function limited(maxBytes: number) {
  return async function* (input: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    let size = 0;
    for await (const chunk of input) {
      size += chunk.byteLength;
      if (size > maxBytes) throw new Error(`the build unpacks to more than ${maxBytes} bytes`);
      yield chunk;
    }
  };
}

/** A gzipped tar of `files`: the same bytes for the same files. */
export async function writeTgz(files: { path: string; content: string }[]): Promise<Uint8Array> {
  const pack = tar.pack();
  for (const { path, content } of files) pack.entry({ name: path, mode: 0o644, mtime: new Date(0) }, content);
  pack.finalize();
  const packed = ReadableStream.from(pack as AsyncIterable<Uint8Array<ArrayBuffer>>)
    .pipeThrough(new CompressionStream("gzip"));
  return await new Response(packed).bytes();
}
