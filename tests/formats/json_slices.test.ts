import fc from "fast-check";
import { expect, test } from "vitest";
import { parseInSlices } from "../../formats/json_slices.ts";
import { cpuMs } from "../helpers/cpu.ts";

async function outcome(read: () => unknown): Promise<unknown> {
  try {
    return { value: await read() };
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return "no JSON";
  }
}

async function expectSame(text: string, atOnce: number): Promise<void> {
  expect(await outcome(() => parseInSlices(text, { atOnce })), text).toEqual(
    await outcome(() => JSON.parse(text)),
  );
}

test("JSON in slices gives the same as JSON.parse, valid or not", async () => {
  const seed = Date.now() % 1e9;
  console.log(`seed ${seed}`);
  const spoiled = fc.tuple(
    fc.json({ maxDepth: 5 }),
    fc.nat(),
    fc.constantFrom("", ",", "]", "}", "{", '"', "\\", ":", " ", "1"),
  );
  await fc.assert(
    fc.asyncProperty(spoiled, fc.integer({ min: 0, max: 20 }), async ([json, place, what], atOnce) => {
      const at = place % (json.length + 1);
      await expectSame(json, atOnce);
      await expectSame(JSON.stringify(JSON.parse(json), null, 2), atOnce);
      await expectSame(json.slice(0, at) + what + json.slice(at), atOnce);
      await expectSame(json.slice(0, at) + what + json.slice(at + 1), atOnce);
    }),
    { seed, numRuns: 1000 },
  );
});

test.each([
  "",
  " ",
  "[",
  "[1,]",
  "[,1]",
  '{"a":1,}',
  '{"a"}',
  '{"a":}',
  "[1 2]",
  "[1]]",
  '"a',
  "{,}",
  "[[1],]",
  '{"a":[1],}',
  '{"__proto__":[1,2,3],"a":{"__proto__":1}}',
  '{"a":1,"b":2,"a":[3]}',
  '["\\\\","\\""]',
  "[]",
  "{}",
  " [ ] ",
  "1 1",
])("%s", async (text) => {
  for (let atOnce = 0; atOnce < 8; atOnce++) await expectSame(text, atOnce);
});

test("JSON of any size is passed to JSON.parse in short pieces, with a turn for each", async () => {
  const text = JSON.stringify({
    head: 1,
    results: Array.from({ length: 20_000 }, (_, at) => ({ case: `case ${at}`, deep: [[at]] })),
  });
  const parse = JSON.parse;
  let [longest, pieces, turnsTaken] = [0, 0, 0];
  JSON.parse = (piece: string) => {
    longest = Math.max(longest, piece.length);
    pieces++;
    return parse(piece);
  };
  try {
    const taken = { take: () => void turnsTaken++ as undefined };
    expect(await parseInSlices(text, { atOnce: 1000, taken })).toEqual(parse(text));
  } finally {
    JSON.parse = parse;
  }
  expect(longest).toBeLessThanOrEqual(1002);
  expect(pieces).toBeGreaterThan(text.length / 1000);
  expect(turnsTaken).toBeGreaterThanOrEqual(pieces - 2);
});

test("JSON of only brackets is refused at once", async () => {
  for (const text of ["[".repeat(1 << 20), '{"a":'.repeat(1 << 18)]) {
    const ms = await cpuMs(() =>
      expect(parseInSlices(text)).rejects.toThrow("It is nested deeper than 64 levels")
    );
    expect(ms).toBeLessThan(5000);
  }
});

test("JSON in slices takes time in proportion to its length", async () => {
  const textOf = (count: number) =>
    JSON.stringify(Array.from({ length: count }, (_, at) => ({ at, nested: [[[at]]] })));
  const timeOf = async (text: string) =>
    await cpuMs(async () => void await parseInSlices(text, { atOnce: 1 << 12 }));
  await timeOf(textOf(1000));
  const [few, many] = [textOf(20_000), textOf(160_000)];
  expect(await timeOf(many)).toBeLessThan(20 * await timeOf(few) + 200);
});
