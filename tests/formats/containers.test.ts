import { Buffer } from "node:buffer";
import { constants, gzipSync, zstdCompressSync } from "node:zlib";
import tar from "tar-stream";
import { expect, test } from "vitest";
import { HubError } from "../../errors.ts";
import { readResults } from "../../formats/mod.ts";
import { readBack } from "../helpers/formats.ts";
import { zipOf } from "../helpers/zip.ts";

const TAP = "1..2\nok 1 - a\nnot ok 2 - b\n";
const XML = '<testsuite><testcase name="x"/></testsuite>';

async function tarOf(files: Record<string, string | Uint8Array>): Promise<Uint8Array> {
  const pack = tar.pack();
  for (const [name, content] of Object.entries(files)) pack.entry({ name }, Buffer.from(content as string));
  pack.finalize();
  const chunks: Uint8Array[] = [];
  for await (const chunk of pack) chunks.push(chunk);
  return Buffer.concat(chunks);
}

test.each([
  ["gzip", () => gzipSync(TAP), "r.tap.gz", ["r.tap"]],
  [
    "gzip of several members",
    () => Buffer.concat([gzipSync("1..2\nok 1 - a\n"), gzipSync("not ok 2 - b\n")]),
    "",
    [""],
  ],
  ["zstd", () => zstdCompressSync(Buffer.from(TAP)), "r.tap.zst", ["r.tap"]],
  ["tar", () => tarOf({ "out/r.tap": TAP, "readme.md": "# words" }), "r.tar", [
    "r.tar/out/r.tap",
    "r.tar/readme.md",
  ]],
  ["tar.gz", async () => gzipSync(await tarOf({ "r.tap": TAP })), "r.tgz", ["r.tar/r.tap"]],
  ["tar of gzip", () => tarOf({ "r.tap.gz": gzipSync(TAP) }), "r.tar", ["r.tar/r.tap"]],
  ["zip", () => zipOf({ "a/r.tap": TAP, "__MACOSX/._r.tap": "junk" }), "r.zip", ["r.zip/a/r.tap"]],
])("%s", async (_kind, make, name, files) => {
  const bytes = await make();
  for (const size of [65_536, 100, 1]) {
    const read = await readBack(bytes, { name, size });
    expect([read.counts, read.files]).toEqual([{ passed: 1, failed: 1 }, files]);
  }
});

test("several files of several formats are distinguished; other files are noted", async () => {
  const read = await readBack(zipOf({ "a.tap": TAP, "b.xml": XML, "log.txt": "words", "dir/": "" }), {
    name: "a.zip",
  });
  expect(read.counts).toEqual({ passed: 2, failed: 1 });
  expect(read.notes).toEqual(["the file: it is of an unknown format, and was skipped"]);
  await expect(readBack(await tarOf({ "log.txt": "words" }), { name: "a.tar" }))
    .rejects.toThrow('"a.tar" contains no file of a known format (1 of unknown formats)');
  await expect(readBack(await tarOf({ "cut.xml": "<testsuite><testcase" }), { name: "a.tar" }))
    .rejects.toThrow("JUnit XML");
});

test.each([
  ["cut gzip", () => gzipSync(TAP.repeat(100)).subarray(0, 40), "gzip"],
  ["gzip with a broken middle", () => {
    const bytes = gzipSync(TAP.repeat(1000));
    bytes.fill(0xff, 20, 40);
    return bytes;
  }, "gzip"],
  ["cut zstd", () => zstdCompressSync(Buffer.from(TAP.repeat(100))).subarray(0, 20), "zstd"],
  ["cut tar", async () => (await tarOf({ "r.tap": TAP.repeat(200) })).subarray(0, 1500), "tar"],
  ["cut zip", () => zipOf({ "r.tap": TAP.repeat(100) }).subarray(0, 60), "zip"],
  ["bzip2", () => Buffer.from("BZh91AY&SY"), "bzip2"],
  ["lz4", () => Buffer.from([0x04, 0x22, 0x4d, 0x18, 0x64, 0x40, 0xa7, 0]), "lz4"],
  ["lzma", () => Buffer.from([0x5d, 0, 0, 0x80, 0, 0xff]), "lzma"],
  ["xz", () => Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0, 0, 4]), "xz"],
])("%s is refused with its kind", async (_what, make, kind) => {
  const error = await readBack(await make(), { name: "r.tap" }).catch((error) => error);
  expect(error).toBeInstanceOf(HubError);
  expect(error.message).toContain(kind);
});

test("a zstd file truncated anywhere, with any frames", async () => {
  const { ZSTD_c_checksumFlag, ZSTD_c_contentSizeFlag } = constants;
  const bytes = Buffer.concat([
    zstdCompressSync(Buffer.from("1..2\nok 1 - a\n"), { params: { [ZSTD_c_checksumFlag]: 1 } }),
    Buffer.from([0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 9, 9, 9]),
    zstdCompressSync(Buffer.from("not ok 2 - b\n"), { params: { [ZSTD_c_contentSizeFlag]: 0 } }),
  ]);
  for (const size of [1, 7, 1000]) {
    expect((await readBack(bytes, { size })).counts).toEqual({ passed: 1, failed: 1 });
  }
  for (let cut = 4; cut < bytes.length; cut++) {
    const read = await readBack(bytes.subarray(0, cut), { name: "r.tap" }).catch((error) => error);
    // A file that ends between frames is complete.
    if (!(read instanceof HubError)) expect(read.records).toHaveLength(1);
  }
  const large = zstdCompressSync(Buffer.from(TAP.repeat(50_000)));
  expect((await readBack(large)).records).toHaveLength(100_000);
});

test("bombs are refused by ratio, by size, by number of files and by depth", async () => {
  const zeros = Buffer.concat([Buffer.from("<testsuite>"), Buffer.alloc(64 << 20, " ")]);
  const bomb = gzipSync(zeros);
  await expect(readBack(bomb, { name: "b.gz" })).rejects.toMatchObject({ code: "PAYLOAD_TOO_LARGE" });
  await expect(readBack(zstdCompressSync(zeros), { name: "b" })).rejects.toThrow("250 times its size");
  await expect(readBack(gzipSync(TAP.repeat(100)), { name: "b", maxBytes: 500 })).rejects.toThrow(
    "more than the limit of 500 bytes",
  );
  await expect(
    readBack(zipOf({ "b.xml": `<testsuite>${" ".repeat(40 << 20)}</testsuite>` }), { name: "b.zip" }),
  )
    .rejects.toMatchObject({ code: "PAYLOAD_TOO_LARGE" });
  const many = Object.fromEntries(Array.from({ length: 10_001 }, (_, at) => [`${at}.tap`, "1..0\n"]));
  await expect(readBack(zipOf(many), { name: "b.zip" })).rejects.toThrow("more than 10000 files");
  let nested: Uint8Array = Buffer.from(TAP);
  for (let depth = 0; depth < 5; depth++) nested = gzipSync(nested);
  await expect(readBack(nested, { name: "b" })).rejects.toThrow("more than 4 containers");
});

test("names in a container are only reported, never used as paths", async () => {
  const read = await readBack(await tarOf({ "../../etc/passwd.tap": TAP, "/abs/r.tap": TAP }), {
    name: "n.tar",
  });
  expect(read.files).toEqual(["n.tar/../../etc/passwd.tap", "n.tar//abs/r.tap"]);
});

test("an error of the source is not the container's fault, and an abandoned source is closed", async () => {
  const bytes = gzipSync(TAP.repeat(5000));
  let isClosed = false;
  async function* source(fault?: Error) {
    try {
      yield bytes.subarray(0, 100);
      if (fault !== undefined) throw fault;
      yield bytes.subarray(100);
    } finally {
      isClosed = true;
    }
  }
  const fault = new TypeError("connection lost");
  await expect(Array.fromAsync(readResults("r.gz", source(fault)))).rejects.toBe(fault);
  isClosed = false;
  for await (const _ of readResults("r.gz", source())) break;
  expect(isClosed).toBe(true);
});
