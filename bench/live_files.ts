import { createWriteStream } from "node:fs";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { crc32, createDeflateRaw, createGzip, createZstdCompress } from "node:zlib";
import tar from "tar-stream";

export interface LiveFile {
  name: string;
  type: string;
  path: string;
}

type Kind = "xml" | "ndjson" | "csv" | "json";
/** Number of bytes generated at once. */
const PIECE = 1 << 16;
/** Number of files in a tar or zip. */
const PARTS = 5;

/** Writes a result file of each format and compression, with the given number of uncompressed bytes. */
export async function writeLiveFiles(folder: string, bytes: number): Promise<LiveFile[]> {
  const write = async (
    name: string,
    type: string,
    source: Readable,
    ...packers: NodeJS.ReadWriteStream[]
  ) => {
    const path = `${folder}/${name}`;
    await pipeline([source, ...packers, createWriteStream(path)]);
    return { name, type, path };
  };
  const text = (kind: Kind) => Readable.from(piecesOf(kind, bytes), { objectMode: false });
  const octets = "application/octet-stream";
  return [
    await write("junit.xml", "application/xml", text("xml")),
    await write("results.ndjson", "application/x-ndjson", text("ndjson")),
    await write("results.csv", "text/csv", text("csv")),
    await write("lit.json", octets, text("json")),
    await write("packed.xml.gz", octets, text("xml"), createGzip({ level: 1 })),
    await write("packed.ndjson.zst", octets, text("ndjson"), createZstdCompress()),
    await write("many.tar.gz", octets, Readable.from(tarOf(bytes)), createGzip({ level: 1 })),
    await write("many.zip", octets, Readable.from(zipOf(bytes))),
  ];
}

/** Generates cases like a compiler's test suite: one in fifty fails, with a log. */
function* piecesOf(kind: Kind, bytes: number, from = 0): Generator<Uint8Array> {
  const encoder = new TextEncoder();
  const output = "a line of output\n".repeat(32);
  const log = "stack frame of some length, as real ones are\n".repeat(20);
  const lineOf: Record<Kind, (name: string, isBad: boolean) => string> = {
    xml: (name, isBad) =>
      `<testcase classname="suite" name="${name}" time="0.25">${
        isBad ? `<failure message="expected 1">${log}</failure>` : `<system-out>${output}</system-out>`
      }</testcase>\n`,
    ndjson: (name, isBad) =>
      `${
        JSON.stringify({
          case: `suite.${name}`,
          outcome: isBad ? "failed" : "passed",
          durationMs: 250,
          message: isBad ? log : output,
        })
      }\n`,
    csv: (name, isBad) => `suite.${name},${isBad ? "failed" : "passed"},250,"${isBad ? log : output}"\n`,
    // Every case except the first is preceded by a comma.
    json: (name, isBad) =>
      `${name.endsWith("_0") ? "" : ","}${
        JSON.stringify({ name, code: isBad ? "FAIL" : "PASS", elapsed: 0.25, output: isBad ? log : output })
      }\n`,
  };
  const [begin, end] = {
    xml: ["<testsuite>\n", "</testsuite>\n"],
    ndjson: ["", ""],
    csv: ["case,outcome,durationMs,message\n", ""],
    json: ['{"__version__": [18, 0, 0], "tests": [', "]}"],
  }[kind] as [string, string];
  let text = begin;
  let at = from;
  for (let made = 0; made < bytes;) {
    while (text.length < PIECE) text += lineOf[kind](`group${at % 997}/case_${at}`, ++at % 50 === 7);
    made += text.length;
    yield encoder.encode(text);
    text = "";
  }
  if (end !== "") yield encoder.encode(end);
}

async function* tarOf(bytes: number): AsyncGenerator<Uint8Array> {
  const pack = tar.pack();
  const each = Math.round(bytes / PARTS);
  const filled = (async () => {
    for (let part = 0; part < PARTS; part++) {
      let size = 0;
      for (const piece of piecesOf("xml", each, part * 1_000_000)) size += piece.length;
      const entry = pack.entry({ name: `part${part}.xml`, size });
      for (const piece of piecesOf("xml", each, part * 1_000_000)) {
        if (!entry.write(piece)) {
          await new Promise((resolve) => entry.once("drain", () => resolve(undefined)));
        }
      }
      entry.end();
      await new Promise((resolve) => entry.once("close", () => resolve(undefined)));
    }
    pack.finalize();
  })();
  yield* pack as AsyncIterable<Uint8Array>;
  await filled;
}

/** Generates a zip whose sizes follow its entries (APPNOTE 4.4.4, bit 3). */
async function* zipOf(bytes: number): AsyncGenerator<Uint8Array> {
  const directory: Uint8Array[] = [];
  let offset = 0;
  for (let part = 0; part < PARTS; part++) {
    const name = new TextEncoder().encode(`part${part}.ndjson`);
    const started = offset;
    const header = numbers([4, 0x04034b50], [2, 20], [2, 8], [2, 8], [4, 0], [4, 0], [4, 0], [4, 0], [
      2,
      name.length,
    ], [2, 0]);
    yield header;
    yield name;
    const plain = { sum: 0, size: 0 };
    let packed = 0;
    const pieces = measured(piecesOf("ndjson", Math.round(bytes / PARTS), part * 1_000_000), plain);
    const deflated = Readable.from(pieces, { objectMode: false }).pipe(createDeflateRaw({ level: 1 }));
    for await (const piece of deflated as AsyncIterable<Uint8Array>) {
      packed += piece.length;
      yield piece;
    }
    const { sum, size } = plain;
    yield numbers([4, 0x08074b50], [4, sum], [4, packed], [4, size]);
    offset += header.length + name.length + packed + 16;
    directory.push(
      numbers([4, 0x02014b50], [2, 20], [2, 20], [2, 8], [2, 8], [4, 0], [4, sum], [4, packed], [4, size]),
      numbers([2, name.length], [2, 0], [2, 0], [2, 0], [2, 0], [4, 0], [4, started]),
      name,
    );
  }
  yield* directory;
  const length = directory.reduce((all, one) => all + one.length, 0);
  yield numbers([4, 0x06054b50], [2, 0], [2, 0], [2, PARTS], [2, PARTS], [4, length], [4, offset], [2, 0]);
}

function* measured(
  pieces: Iterable<Uint8Array>,
  plain: { sum: number; size: number },
): Generator<Uint8Array> {
  for (const piece of pieces) {
    plain.sum = crc32(piece, plain.sum);
    plain.size += piece.length;
    yield piece;
  }
}

/** Encodes little-endian numbers, each with its size in bytes. */
function numbers(...fields: [size: 2 | 4, value: number][]): Uint8Array {
  const view = new DataView(new ArrayBuffer(fields.reduce((all, [size]) => all + size, 0)));
  let at = 0;
  for (const [size, value] of fields) {
    if (size === 2) view.setUint16(at, value, true);
    else view.setUint32(at, value, true);
    at += size;
  }
  return new Uint8Array(view.buffer);
}
