/** A file of a tar archive. */
export interface TarFile {
  path: string;
  content: Uint8Array;
}

const BLOCK = 512;

/**
 * Reads a gzipped tar (POSIX ustar) of plain files and folders.
 * @throws Error for a link, a special file, an absolute path, `..`, or more than `maxBytes` unpacked
 */
export async function readTgz(packed: Uint8Array, maxBytes: number): Promise<TarFile[]> {
  const stream = new Blob([packed as BlobPart]).stream().pipeThrough(new DecompressionStream("gzip"));
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of stream) {
    size += chunk.byteLength;
    if (size > maxBytes) throw new Error(`the build unpacks to more than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  return readTar(new Uint8Array(await new Blob(chunks as BlobPart[]).arrayBuffer()));
}

export function readTar(bytes: Uint8Array): TarFile[] {
  const files: TarFile[] = [];
  const decoder = new TextDecoder("utf-8", { fatal: true });
  const field = (at: number, length: number) =>
    decoder.decode(bytes.subarray(at, at + length)).split("\0", 1)[0]!;
  for (let at = 0; at + BLOCK <= bytes.length && bytes[at] !== 0;) {
    const prefix = field(at + 257, 5) === "ustar" ? field(at + 345, 155) : "";
    const path = (prefix === "" ? "" : `${prefix}/`) + field(at, 100);
    const size = Number.parseInt(field(at + 124, 12).trim() || "0", 8);
    const type = String.fromCharCode(bytes[at + 156]!);
    if (!Number.isInteger(size) || at + BLOCK + size > bytes.length) {
      throw new Error("the build's archive is truncated");
    }
    if (path.startsWith("/") || path.includes("\\") || path.split("/").includes("..")) {
      throw new Error(`the build's archive contains the unsafe path ${JSON.stringify(path)}`);
    }
    if (type === "0" || type === "\0") {
      files.push({ path, content: bytes.subarray(at + BLOCK, at + BLOCK + size) });
    } else if (type !== "5") {
      throw new Error(
        `the build's archive contains ${JSON.stringify(path)}, which is a link or a special file`,
      );
    }
    at += BLOCK + Math.ceil(size / BLOCK) * BLOCK;
  }
  return files;
}

/** Writes a gzipped tar of `files`; the same files yield the same bytes. */
export async function writeTgz(files: { path: string; content: string }[]): Promise<Uint8Array> {
  const encoder = new TextEncoder();
  const parts: Uint8Array[] = [];
  for (const { path, content } of files) {
    const data = encoder.encode(content);
    const header = new Uint8Array(BLOCK);
    const put = (text: string, at: number) => header.set(encoder.encode(text), at);
    put(path, 0);
    put("0000644\0", 100);
    put("0000000\0", 108);
    put("0000000\0", 116);
    put(data.length.toString(8).padStart(11, "0") + "\0", 124);
    put("00000000000\0", 136);
    put("        ", 148);
    put("0", 156);
    put("ustar\x0000", 257);
    put(header.reduce((sum, byte) => sum + byte, 0).toString(8).padStart(6, "0") + "\0 ", 148);
    parts.push(header, data, new Uint8Array((BLOCK - data.length % BLOCK) % BLOCK));
  }
  parts.push(new Uint8Array(2 * BLOCK));
  const packed = new Blob(parts as BlobPart[]).stream().pipeThrough(new CompressionStream("gzip"));
  return new Uint8Array(await new Response(packed).arrayBuffer());
}
