import { afterAll, beforeAll, expect, test } from "vitest";
import { ownBytes } from "../../../formats/own_bytes.ts";
import { receiveFirst } from "../../../routers/rest/body_spool.ts";

let folder: string;
beforeAll(async () => {
  folder = await Deno.makeTempDir({ prefix: "chub-body-" });
});
afterAll(() => Deno.remove(folder, { recursive: true }));

/** Chunks of these sizes, with bytes derived from their position; `taken` counts the chunks read. */
function chunksOf(sizes: number[]) {
  const state = { taken: 0, at: 0 };
  async function* chunks(): AsyncGenerator<Uint8Array> {
    for (const size of sizes) {
      state.taken++;
      await Promise.resolve();
      yield Uint8Array.from({ length: size }, () => state.at++ % 251);
    }
  }
  return { state, chunks: chunks() };
}

test.each([
  ["nothing", []],
  ["a few bytes", [1, 2, 3]],
  ["a MiB to the byte", [1 << 19, 1 << 19]],
  ["pieces of all sizes", [5, 1 << 20, 1, (1 << 20) - 1, 3 << 20, 70_000, 9]],
])("a body without a length comes back as it was: %s", async (_what, sizes) => {
  const { state, chunks } = chunksOf(sizes);
  let size = 0;
  let isSame = true;
  for await (const bytes of receiveFirst(chunks, folder)) {
    expect(state.taken).toBe(sizes.length);
    for (const byte of bytes) isSame &&= byte === size++ % 251;
  }
  expect([size, isSame]).toEqual([sizes.reduce((sum, one) => sum + one, 0), true]);
  expect([...Deno.readDirSync(folder)]).toEqual([]);
});

test("an incomplete or abandoned body leaves no file open", async () => {
  const open = () => [...Deno.readDirSync("/proc/self/fd")].length;
  const before = open();
  async function* broken(): AsyncGenerator<Uint8Array> {
    yield new Uint8Array(2 << 20);
    throw new Error("broken off");
  }
  await expect(Array.fromAsync(receiveFirst(broken(), folder))).rejects.toThrow("broken off");
  for await (const _bytes of receiveFirst(chunksOf([2 << 20, 2 << 20]).chunks, folder)) break;
  expect(open()).toBe(before);
});

test("an unwritable spool is reported as such", async () => {
  await Deno.writeTextFile(`${folder}/file`, "");
  await expect(Array.fromAsync(receiveFirst(chunksOf([2 << 20, 1]).chunks, `${folder}/file`))).rejects
    .toMatchObject({ code: "SERVICE_UNAVAILABLE", message: expect.stringContaining("SPOOL_DIR") });
  await Deno.remove(`${folder}/file`);
});

test("a small chunk does not retain a large buffer, and a large chunk is not copied", () => {
  const buffer = new Uint8Array(1 << 16).fill(7);
  const small = ownBytes(buffer.subarray(100, 200));
  expect([small.byteLength, small.buffer.byteLength, small[0]]).toEqual([100, 100, 7]);
  const large = buffer.subarray(0, 1 << 15);
  expect(ownBytes(large)).toBe(large);
});
