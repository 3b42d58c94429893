import { expect, test } from "vitest";
import { CaseCache } from "../../../db/ingest/case_cache.ts";
import { CaseIds, Ordinals } from "../../../db/ingest/case_ids.ts";
import { copyValue, uncopied } from "../../../db/core/copy.ts";
import { ResultSpool, spoolOf } from "../../../db/ingest/spool.ts";
import { findSpoolFault } from "../../../db/core/spool_file.ts";
import { SpillBuffer } from "../../../db/ingest/spill_buffer.ts";
import type { ResultRecord } from "../../../schemas/record.ts";
import { retainedBytes } from "../../helpers/heap.ts";
import { requires } from "../../helpers/require.ts";

test("a spill buffer returns what was written, from memory and from an unlinked file", async () => {
  const folder = await Deno.makeTempDir();
  const tape = new SpillBuffer(folder);
  const lines = Array.from({ length: 120_000 }, (_, at) => `line ${at} é ${"x".repeat(at % 90)}`);
  const marks: { at: number; mark: ReturnType<SpillBuffer["mark"]> }[] = [];
  for (const [at, line] of lines.entries()) {
    if (at === 10 || at === 60_000 || at === 119_990) marks.push({ at, mark: tape.mark() });
    tape.write(`${line}\n`);
  }
  expect([...Deno.readDirSync(folder)]).toEqual([]);
  expect([...tape.lines()].flat()).toEqual(lines);
  const whole = tape.digest().toString("hex");
  for (const { at, mark } of marks.reverse()) {
    tape.rewind(mark);
    expect([...tape.lines()].flat()).toEqual(lines.slice(0, at));
  }
  for (const line of lines.slice(10)) tape.write(`${line}\n`);
  expect(tape.digest().toString("hex")).toBe(whole);
  expect([...tape.lines()].flat()).toEqual(lines);
  tape.dispose();
  await Deno.remove(folder);
});

const records: ResultRecord[] = [
  {
    case: "a\tb",
    outcome: "passed",
    samples: [{ metric: "m", value: 1 }, { metric: "m", value: "x", unit: "s" }],
  },
  { case: "c", outcome: "failed", message: "1\n2\\3", word: "BAD", durationMs: 1.5 },
];

test("a spool counts results, counts missing ones separately, and rewinds to a mark", async () => {
  const spool = spoolOf(records);
  const mark = spool.mark();
  const digest = spool.digest();
  spool.add({ case: "d", outcome: "not_run", samples: [{ metric: "other", value: 1 }] }, true);
  spool.add({ case: "e", outcome: "not_run" });
  expect([spool.count, spool.missing, spool.samples, spool.counts, spool.reportedCounts]).toEqual([
    4,
    1,
    3,
    { passed: 1, failed: 1, not_run: 2 },
    { passed: 1, failed: 1, not_run: 1 },
  ]);
  expect(spool.digest()).not.toBe(digest);
  await spool.rewind(mark);
  expect([spool.count, spool.missing, spool.counts, spool.digest()]).toEqual([
    2,
    0,
    { passed: 1, failed: 1 },
    digest,
  ]);
  expect([spool.samples, [...spool.metrics.keys()]]).toEqual([2, ["m\t", "m\ts"]]);
  expect([...spool.names()].flat().map(uncopied)).toEqual(["a\tb", "c"]);
  expect(spoolOf([...records].reverse()).digest()).not.toBe(digest);
  spool.dispose();
});

test("names are resolved while more are added, each once at its index, and errors are reported", async () => {
  const asked: number[] = [];
  const lookUp = {
    casesVersion: 3,
    now: (name: string) => name === "known" ? 7 : 0,
    later: (names: string[]) => {
      asked.push(names.length);
      return Promise.resolve(
        Int32Array.from(names, (name) => name.startsWith("n") ? Number(name.slice(1)) : 0),
      );
    },
  };
  const spool = new ResultSpool();
  spool.lookUpBy(lookUp);
  spool.add({ case: "known", outcome: "passed" });
  for (let at = 1; at <= 45_000; at++) {
    spool.add({ case: at === 5 ? "other" : `n${at}`, outcome: "passed" });
    if (spool.isBusy) await spool.ready();
  }
  await spool.settle();
  expect(asked).toEqual([20_000, 20_000, 5_000]);
  expect([spool.caseIds.get(0), spool.caseIds.get(45_000), spool.caseIds.get(5), spool.caseIds.unknown])
    .toEqual([7, 45_000, 0, 1]);
  spool.expectVersion(3);
  expect(spool.caseIds.unknown).toBe(1);
  spool.expectVersion(4);
  expect(spool.caseIds.unknown).toBe(45_001);
  const failing = new ResultSpool();
  failing.lookUpBy({ casesVersion: 0, now: () => 0, later: () => Promise.reject(new Error("away")) });
  failing.add({ case: "a", outcome: "passed" });
  await expect(failing.settle()).rejects.toThrow("away");
});

test("names waiting for a lookup do not keep their source text in memory", () => {
  const spool = new ResultSpool();
  spool.lookUpBy({ casesVersion: 0, now: () => 0, later: () => Promise.resolve(new Int32Array()) });
  const before = retainedBytes();
  // A multiple of the block that names are copied in, so that no name is left as a slice of its text.
  for (let at = 0; at < 1024; at++) {
    const text = `${at} is the name of a case, ${"and this its output".repeat(5000)}`;
    spool.add({ case: JSON.parse(JSON.stringify(text)).slice(0, 30), outcome: "passed" });
  }
  // Encodes the lines that wait for a full block, which may be slices too.
  spool.mark();
  const retained = retainedBytes() - before;
  // The texts are 97 MB. The spool is used below, and is not collected before.
  expect(retained).toBeLessThan(10e6);
  expect(spool.count).toBe(1024);
});

test("ids grow across blocks and are truncated; ordinals count repeats", () => {
  const ids = new CaseIds();
  for (let at = 0; at < 70_000; at++) ids.grow();
  for (let at = 0; at < 70_000; at++) ids.set(at, at + 1);
  expect([ids.length, ids.unknown, ids.get(69_999)]).toEqual([70_000, 0, 70_000]);
  ids.cut(65_000);
  ids.grow();
  expect([ids.length, ids.unknown, ids.get(65_000)]).toEqual([65_001, 1, 0]);
  const ordinals = new Ordinals(20);
  expect([3, 20, 3, 0, 3, 20].map((number) => ordinals.next(number))).toEqual([1, 1, 2, 1, 3, 2]);
});

test("case ids count unknown ones and track their range, across blocks", () => {
  const ids = new CaseIds();
  for (let at = 0; at < 200_000; at++) ids.grow();
  for (let at = 0; at < 200_000; at += 2) ids.set(at, 1000 + at);
  expect([ids.unknown, ids.least, ids.most]).toEqual([100_000, 1000, 200_998]);
  ids.cut(131_072);
  expect([ids.length, ids.unknown]).toEqual([131_072, 65_536]);
  ids.cut(70_001);
  expect([ids.length, ids.unknown]).toEqual([70_001, 35_000]);
  for (let at = 0; at < 3; at++) ids.grow();
  expect([ids.get(70_000), ids.get(70_001), ids.unknown]).toEqual([71_000, 0, 35_003]);
  ids.forget();
  expect([ids.length, ids.unknown, ids.most]).toEqual([70_004, 70_004, 0]);
  ids.set(70_003, 7);
  expect([ids.unknown, ids.least, ids.most]).toEqual([70_003, 7, 7]);
  ids.cut(0);
  expect([ids.length, ids.unknown]).toEqual([0, 0]);
});

test("the case cache keeps its size limit, evicts the least recently used test, and discards an older version", () => {
  const cache = new CaseCache(4);
  cache.of(1, 0);
  cache.add(1, 0, ["a", "b", "none"], [1, 2, 0]);
  cache.of(2, 0);
  cache.add(2, 0, ["c", "d", "e"], [3, 4, 5]);
  expect([cache.size, cache.of(2, 0).size, cache.of(1, 0).size]).toEqual([3, 3, 0]);
  cache.add(1, 0, ["a", "b", "c", "d", "e"], [1, 2, 3, 4, 5]);
  expect([cache.size, cache.of(1, 0).size, cache.of(2, 0).size]).toEqual([4, 4, 0]);
  expect(cache.of(1, 1).size).toBe(0);
  cache.add(1, 0, ["a"], [1]);
  expect(cache.size).toBe(0);
});

test("uncopied reverses copyValue", () => {
  for (const value of ["", "a", "\\", "\\n", "\n", "\t\r\\\\t", "a\\\nb"]) {
    expect(uncopied(copyValue(value))).toBe(value);
  }
});

test("a spool without a folder creates no file, whatever its size, because scrapes may not create files", () => {
  const make = Deno.makeTempFileSync;
  Deno.makeTempFileSync = () => {
    throw new Error("no file may be made");
  };
  try {
    const results = Array.from(
      { length: 150_000 },
      (_, at) => ({ case: `case ${at}`, outcome: "passed" as const }),
    );
    const spool = spoolOf(results);
    expect([...spool.names()].flat()).toHaveLength(150_000);
    const filed = new ResultSpool(Deno.cwd());
    expect(() => results.forEach((result) => filed.add(result))).toThrow(
      expect.objectContaining({ cause: new Error("no file may be made") }),
    );
  } finally {
    Deno.makeTempFileSync = make;
  }
});

const onFull = requires("/dev/full", Deno.build.os === "linux", "run it on Linux");
onFull("a full disk is a 507 that names the setting, and the readiness check finds it", () => {
  const full = () => Deno.openSync("/dev/full", { read: true, write: true });
  const tape = new SpillBuffer("/nowhere", full);
  const expected = { code: "INSUFFICIENT_STORAGE", message: expect.stringContaining("SPOOL_DIR") };
  expect(() => {
    for (let at = 0; at < 1000; at++) tape.write("x".repeat(10_000));
  }).toThrow(expect.objectContaining(expected));
  tape.dispose();
  expect(findSpoolFault("/nowhere", full)).toMatchObject({ ...expected, status: 507 });
});

test("an unwritable folder is a 503 that does not show its path", async () => {
  const folder = await Deno.makeTempDir();
  await Deno.writeTextFile(`${folder}/file`, "");
  const fault = findSpoolFault(`${folder}/file`);
  expect(fault).toMatchObject({ status: 503, message: expect.not.stringContaining(folder) });
  expect(findSpoolFault(`${folder}/made`)).toBeUndefined();
  expect([...Deno.readDirSync(`${folder}/made`)]).toEqual([]);
  await Deno.remove(folder, { recursive: true });
});
