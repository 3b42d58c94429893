import { Buffer } from "node:buffer";
import { pipeline, Readable } from "node:stream";
import { crc32, createGunzip, createZstdDecompress } from "node:zlib";
import tar from "tar-stream";
import { fromBufferPromise } from "yauzl";
import { HubError } from "../errors.ts";
import { type Joined, splitHead } from "./head.ts";
import { ownBytes } from "./own_bytes.ts";
import { ContainerError, Meter, quoted, type UnpackLimits } from "./unpack_meter.ts";
import { wholeZstd } from "./zstd_end.ts";

/** A result file, possibly from a container. Read `content` before requesting the next file. */
export interface OpenedFile {
  /** Name with its containers: `logs.zip/unit/junit.xml`. */
  name: string;
  head: Uint8Array;
  content: Joined;
  /** Whether it is one of the files of a tar or zip. */
  isInside: boolean;
}

/** Most nested containers; a .tar.gz of .gz files has three. */
const MAX_DEPTH = 4;
/** Largest zip in bytes. Its directory is at the end, so all of it is buffered. */
const MAX_ZIP = 64 << 20;
const JUNK = /(?:^|\/)(?:__MACOSX\/|\._|\.DS_Store$)/;

/**
 * Yields the files of an input: the input itself or, for a gzip, zstd, tar or zip container (recognised by content), the files
 * in it, down to `MAX_DEPTH`. Nothing is written to disk; names are only reported.
 * @throws FormatError when a container is damaged, HubError PAYLOAD_TOO_LARGE when it unpacks to too many bytes
 */
export async function* openFiles(
  name: string,
  input: AsyncIterable<Uint8Array>,
  limits: UnpackLimits = {},
): AsyncGenerator<OpenedFile> {
  yield* open(name, input, new Meter(limits), { depth: 0, isInside: false });
}

async function* open(
  name: string,
  input: AsyncIterable<Uint8Array>,
  meter: Meter,
  { depth, isInside }: { depth: number; isInside: boolean },
): AsyncGenerator<OpenedFile> {
  const { head, all } = await splitHead(input);
  try {
    const kind = containerOf(head);
    if (kind !== undefined && depth >= MAX_DEPTH) {
      throw new ContainerError(kind, `${quoted(name)} is nested in more than ${MAX_DEPTH} containers`);
    }
    const source = depth === 0 && kind !== undefined ? meter.packs(all) : all;
    if (kind === undefined) yield { name, head, content: all, isInside };
    else if (kind === "gzip" || kind === "zstd") {
      const inner = name.replace(/\.(?:gz|zst|zstd)$/i, "").replace(/\.tgz$/i, ".tar");
      yield* open(inner, inflate(name, source, kind, meter), meter, { depth: depth + 1, isInside });
    } else yield* kind === "tar" ? openTar(name, source, meter, depth) : openZip(name, source, meter, depth);
  } finally {
    await all.return();
  }
}

function containerOf(head: Uint8Array): "gzip" | "zstd" | "tar" | "zip" | undefined {
  const [a, b, c, d] = head;
  if (a === 0x1f && b === 0x8b) return "gzip";
  // A zstd file may begin with a skippable frame.
  if (
    a === 0x28 && b === 0xb5 && c === 0x2f && d === 0xfd ||
    (a ?? 0) >> 4 === 5 && b === 0x2a && c === 0x4d && d === 0x18
  ) return "zstd";
  if (a === 0x50 && b === 0x4b && (c === 3 && d === 4 || c === 5 && d === 6 || c === 7 && d === 8)) {
    return "zip";
  }
  const latin1 = Buffer.from(head.buffer, head.byteOffset, head.length);
  if (latin1.toString("latin1", 257, 262) === "ustar" || isOldTar(latin1)) return "tar";
  const magic = latin1.toString("latin1", 0, 6);
  const other = magic.startsWith("BZh")
    ? "bzip2"
    : magic === "\xfd7zXZ\0"
    ? "xz"
    : magic.startsWith("7z\xbc\xaf")
    ? "7z"
    : magic.startsWith("\x04\x22\x4d\x18")
    ? "lz4"
    : magic.startsWith("\x5d\0\0")
    ? "lzma"
    : undefined;
  if (other !== undefined) {
    throw new HubError(
      "UNSUPPORTED_MEDIA_TYPE",
      `Files packed by ${other} are not supported; use gzip, zstd, tar or zip.`,
    );
  }
  return undefined;
}

/** Whether it begins with a header of Unix v7 tar, which has no magic number, only a checksum. */
function isOldTar(head: Buffer): boolean {
  const expected = /^ *([0-7]+)[ \0]/.exec(head.toString("latin1", 148, 156))?.[1];
  if (expected === undefined || head.length < 512) return false;
  let sum = 8 * 0x20;
  for (let at = 0; at < 512; at++) if (at < 148 || at >= 156) sum += head[at]!;
  return sum === parseInt(expected, 8);
}

async function* inflate(
  name: string,
  input: AsyncIterable<Uint8Array>,
  kind: "gzip" | "zstd",
  meter: Meter,
): AsyncGenerator<Uint8Array> {
  const whole = kind === "zstd" ? wholeZstd(input, quoted(name)) : input;
  const source = Readable.from(whole, { objectMode: false, highWaterMark: 1 << 16 });
  const unpacker = kind === "gzip" ? createGunzip() : createZstdDecompress();
  const out = pipeline(source, unpacker, () => {});
  yield* meter.unpacks(kind, name, out as AsyncIterable<Uint8Array>);
}

async function* openTar(
  name: string,
  input: AsyncIterable<Uint8Array>,
  meter: Meter,
  depth: number,
): AsyncGenerator<OpenedFile> {
  const extract = tar.extract({ allowUnknownFormat: true });
  let cut = true;
  const source = Readable.from(input, { objectMode: false, highWaterMark: 1 << 16 });
  const done = new Promise<void>((resolve) => {
    pipeline(source, extract, (error) => {
      cut = error !== undefined && error !== null;
      resolve();
    });
  });
  try {
    for await (const entry of extract) {
      const path = entry.header.name;
      const chunks = entry[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>;
      // tar-stream reports an unknown kind, such as an old sparse file, as null.
      if (entry.header.type === null && entry.header.size! > 0 && !path.endsWith("/") && !JUNK.test(path)) {
        throw new Error(`${path} is a sparse file or of another unsupported kind`);
      }
      const isFile = entry.header.type === "file" || entry.header.type === "contiguous-file";
      if (isFile && !JUNK.test(path)) {
        if (Object.keys(entry.header.pax ?? {}).some((key) => key.startsWith("GNU.sparse."))) {
          throw new Error(`${path} is a sparse file, which is not supported`);
        }
        meter.entry(name);
        const content = depth === 0
          ? meter.unpacks("tar", name, leftOpen(chunks))
          : meter.passes("tar", name, leftOpen(chunks));
        yield* open(`${name}/${path}`, content, meter, {
          depth: depth + 1,
          isInside: true,
        });
      }
      while (!(await chunks.next()).done);
    }
    await done;
    if (cut) throw new Error("it is truncated");
  } catch (error) {
    throw meter.damage("tar", name, error);
  }
}

/** Yields the rest of a stream without closing it: tar-stream loses its position when an entry is closed. */
async function* leftOpen(chunks: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  for (let next = await chunks.next(); !next.done; next = await chunks.next()) yield next.value;
}

async function* openZip(
  name: string,
  input: AsyncIterable<Uint8Array>,
  meter: Meter,
  depth: number,
): AsyncGenerator<OpenedFile> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of input) {
    size += chunk.length;
    if (size > MAX_ZIP) {
      throw new HubError(
        "PAYLOAD_TOO_LARGE",
        `${
          quoted(name)
        } is a zip of more than ${MAX_ZIP} bytes; use .tar.gz, which is streamed and may be larger.`,
      );
    }
    chunks.push(ownBytes(chunk));
  }
  try {
    const zip = await fromBufferPromise(Buffer.concat(chunks));
    for await (const entry of zip.eachEntry()) {
      const path = entry.fileName;
      if (path.endsWith("/") || JUNK.test(path)) continue;
      meter.entry(name);
      if (entry.isEncrypted()) throw new Error(`${path} is encrypted`);
      const content = await zip.openReadStreamPromise(entry);
      yield* open(`${name}/${path}`, meter.unpacks("zip", name, withChecksum(content, entry)), meter, {
        depth: depth + 1,
        isInside: true,
      });
      content.destroy();
    }
  } catch (error) {
    throw meter.damage("zip", name, error);
  }
}

/** A file's bytes, checked against the zip's checksum, which yauzl does not check. */
async function* withChecksum(
  content: AsyncIterable<Uint8Array>,
  { fileName, crc32: expected }: { fileName: string; crc32: number },
): AsyncGenerator<Uint8Array> {
  let sum = 0;
  for await (const chunk of content) {
    sum = crc32(chunk, sum);
    yield chunk;
  }
  if (sum !== expected) throw new Error(`${fileName} does not match its checksum`);
}
