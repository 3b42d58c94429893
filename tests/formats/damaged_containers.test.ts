import { Buffer } from "node:buffer";
import { gzipSync, zstdCompressSync } from "node:zlib";
import tar from "tar-stream";
import { expect, test } from "vitest";
import { readResults } from "../../formats/mod.ts";
import { chunksOf, readBack } from "../helpers/formats.ts";
import { zipOf } from "../helpers/zip.ts";

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

/** Turns the header of the first entry into one of Unix v7. */
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

test("an empty file in a container is skipped, whatever its name; a bad file is reported by name", async () => {
  const read = await readBack(await tarOf([{ name: "died.tap", content: "" }, { name: "r.tap" }]), {
    name: "a.tar",
  });
  expect([read.counts, read.notes]).toEqual([
    { passed: 1, failed: 1 },
    ["the file: it is empty, and was skipped"],
  ]);
  await expect(
    readBack(await tarOf([{ name: "cut.xml", content: "<testsuite><testcase" }]), { name: "a.tar" }),
  )
    .rejects.toThrow('"a.tar/cut.xml": Not a readable JUnit XML file');
});

test("a sparse file is refused", async () => {
  const bytes = await tarOf([{ name: "r.tap", pax: { "GNU.sparse.major": "1" } }]);
  await expect(readBack(bytes, { name: "a.tar" })).rejects.toThrow(
    "r.tap is a sparse file, which is not supported",
  );
  const old = await tarOf([{ name: "a.tap" }, { name: "r.tap" }]);
  // GNU's own kind, before pax; the checksum grows by as much as the kind.
  old[1024 + 156] = "S".charCodeAt(0);
  const sum = parseInt(Buffer.from(old).toString("latin1", 1024 + 148, 1024 + 154), 8) + 0x53 - 0x30;
  old.set(Buffer.from(sum.toString(8).padStart(6, "0")), 1024 + 148);
  await expect(readBack(old, { name: "a.tar" })).rejects.toThrow("r.tap is a sparse file");
});

test("damage within a container is reported as the container's, with the reason", async () => {
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
    await expect(readBack(wrong, { name: "a.zip", size })).rejects.toThrow(
      "r.tap does not match its checksum",
    );
  }
});

test("with keepsGood, a bad file is discarded and reported, however large, and the next file is read", async () => {
  const bad = `<testsuite><testcase name="x"/>${" ".repeat(300_000)}</oops>${"y".repeat(300_000)}`;
  const files = [{ name: "a.tap" }, { name: "bad.xml", content: bad }, { name: "b.tap" }];
  const packed = await tarOf(files);
  const zip = zipOf(Object.fromEntries(files.map(({ name, content = TAP }) => [name, content])));
  for (const bytes of [packed, gzipSync(packed), zip]) {
    const told: [string, string][] = [];
    for await (
      const { file, items, begins, fault } of readResults("c", chunksOf(bytes, 5000), { keepsGood: true })
    ) {
      const what = begins ? "begins" : fault?.message.replace(/line.*/, "") ?? items.length;
      told.push([file, String(what)]);
    }
    expect(told).toEqual([
      ["c/a.tap", "begins"],
      ["c/a.tap", "1"],
      ["c/a.tap", "1"],
      ["c/bad.xml", "begins"],
      ["c/bad.xml", "1"],
      ["c/bad.xml", "Not a readable JUnit XML file: "],
      ["c/b.tap", "begins"],
      ["c/b.tap", "1"],
      ["c/b.tap", "1"],
    ]);
  }
  const all = await tarOf([{ name: "1.xml", content: bad }, { name: "2.xml", content: bad }, {
    name: "notes",
  }]);
  await expect(Array.fromAsync(readResults("c", chunksOf(all.subarray(0, -1200)), { keepsGood: true })))
    .rejects.toThrow("Unexpected end");
  const whole = await tarOf([{ name: "1.xml", content: bad }, { name: "2.xml", content: bad }]);
  await expect(Array.fromAsync(readResults("c", chunksOf(whole), { keepsGood: true })))
    .rejects.toThrow('"c/1.xml": Not a readable JUnit XML file');
});

test("a skipped file in a container may be large and packed", async () => {
  const large = "no result at all\n".repeat(200_000);
  const bad = gzipSync(`<testsuite></oops>${crypto.getRandomValues(new Uint8Array(50_000)).toString()}`);
  const inner = await tarOf([{ name: "log.txt", content: large }, { name: "r.tap" }]);
  const pack = tar.pack();
  pack.entry({ name: "core.gz" }, gzipSync(large));
  pack.entry({ name: "bad.xml.gz" }, bad);
  pack.entry({ name: "logs.zip" }, zipOf({ "log.txt": large, "r.tap": TAP }));
  pack.entry({ name: "inner.tgz" }, gzipSync(inner));
  pack.entry({ name: "r.tap" }, TAP);
  pack.finalize();
  const bytes = Buffer.concat(await Array.fromAsync(pack as AsyncIterable<Uint8Array>));
  for (const size of [1000, 65_536]) {
    const files = new Set<string>();
    const counts = { result: 0, note: 0, fault: 0 };
    for await (
      const { file, items, fault } of readResults("c.tar", chunksOf(bytes, size), { keepsGood: true })
    ) {
      files.add(file);
      if (fault !== undefined) counts.fault++;
      for (const { kind } of items) if (kind === "result" || kind === "note") counts[kind]++;
    }
    expect(counts).toEqual({ result: 6, note: 3, fault: 1 });
    expect(files.size).toBe(7);
  }
});

test("leaving a container in the middle of a file closes its source", async () => {
  const content = "ok\n".repeat(500_000);
  for (
    const bytes of [
      await tarOf([{ name: "r.tap", content }]),
      gzipSync(await tarOf([{ name: "r.tap", content }])),
    ]
  ) {
    let isClosed = false;
    const source = async function* () {
      try {
        yield* chunksOf(bytes, 1000);
      } finally {
        isClosed = true;
      }
    };
    for await (const { items } of readResults("a.tar", source())) if (items.length > 0) break;
    expect(isClosed).toBe(true);
  }
});

test("the content of a packed tar is counted once", async () => {
  const lines = Array.from({ length: 3000 }, () => `# ${crypto.randomUUID()}${"x".repeat(12_000)}\n`).join(
    "",
  );
  const packed = gzipSync(await tarOf([{ name: "r.tap", content: `1..1\nok 1 - a\n${lines}` }]));
  const maxRatio = Math.ceil(lines.length / packed.length) + 10;
  expect((await readBack(packed, { name: "r.tgz", maxRatio })).counts).toEqual({ passed: 1 });
  await expect(readBack(packed, { name: "r.tgz", maxRatio: maxRatio - 20 })).rejects.toThrow(
    "times its size",
  );
});
