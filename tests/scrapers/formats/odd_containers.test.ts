import { Buffer } from "node:buffer";
import { zstdCompressSync } from "node:zlib";
import tar from "tar-stream";
import { expect, test } from "vitest";
import { readBack } from "../../helpers/formats.ts";
import { zipOf } from "../../helpers/zip.ts";

const TAP = "1..2\nok 1 - a\nnot ok 2 - b\n";

async function tarOf(
  files: { name: string; content?: string; type?: string; pax?: Record<string, string> }[],
) {
  const pack = tar.pack();
  for (const { content = TAP, ...header } of files) pack.entry(header, content);
  pack.finalize();
  const chunks: Uint8Array[] = [];
  for await (const chunk of pack) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** The header of the first entry made into that of Unix v7. */
function withoutMagic(bytes: Buffer): Buffer {
  const old = Buffer.from(bytes);
  old.fill(0, 257, 512).fill(" ", 148, 156);
  const sum = old.subarray(0, 512).reduce((sum, byte) => sum + byte, 0);
  old.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return old;
}

test.each([
  ["a zstd whose first frame is to be skipped", () =>
    Buffer.concat([
      Buffer.from([0x5e, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 9, 9, 9]),
      zstdCompressSync(Buffer.from(TAP)),
    ])],
  ["a tar of Unix v7", async () => withoutMagic(await tarOf([{ name: "r.tap" }]))],
  ["a tar with a contiguous file", () => tarOf([{ name: "r.tap", type: "contiguous-file" }])],
])("%s", async (_what, make) => {
  const bytes = await make();
  for (const size of [7, 65_536]) {
    expect((await readBack(bytes, { size })).counts).toEqual({ passed: 1, failed: 1 });
  }
});

test("an empty file in a container is passed over, whatever its name; a bad one is told by its own", async () => {
  const read = await readBack(await tarOf([{ name: "died.tap", content: "" }, { name: "r.tap" }]), {
    name: "a.tar",
  });
  expect([read.counts, read.notes]).toEqual([
    { passed: 1, failed: 1 },
    ["the file: it is empty, and was passed over"],
  ]);
  await expect(
    readBack(await tarOf([{ name: "cut.xml", content: "<testsuite><testcase" }]), { name: "a.tar" }),
  )
    .rejects.toThrow('"a.tar/cut.xml": Not a readable JUnit XML file');
});

test("a sparse file is refused, not read with its map", async () => {
  const bytes = await tarOf([{ name: "r.tap", pax: { "GNU.sparse.major": "1" } }]);
  await expect(readBack(bytes, { name: "a.tar" })).rejects.toThrow(
    "r.tap is a sparse file, which is not read",
  );
});

test("what is damaged in its middle is told as the container's damage, by what is wrong", async () => {
  const cases = Array.from({ length: 20_000 }, (_, at) => `ok ${at + 1} - case ${(at * 7919) % 100_003}\n`);
  const content = `1..20000\n${cases.join("")}`;
  const cutTar = (await tarOf([{ name: "r.tap", content }])).subarray(0, 300_000);
  const hole = zipOf({ "r.tap": content });
  hole.fill(0xff, hole.length >> 1, (hole.length >> 1) + 50);
  const wrong = zipOf({ "r.tap": content });
  const directory = wrong.indexOf("PK\x01\x02");
  wrong.writeUInt32LE(wrong.readUInt32LE(directory + 16) ^ 1, directory + 16);
  for (const size of [1000, 65_536]) {
    await expect(readBack(cutTar, { name: "a.tar", size })).rejects.toThrow(
      'tar file: "a.tar": Unexpected end',
    );
    await expect(readBack(hole, { name: "a.zip", size })).rejects.toThrow('Not a readable zip file: "a.zip"');
    await expect(readBack(wrong, { name: "a.zip", size })).rejects.toThrow("r.tap does not fit its checksum");
  }
});
