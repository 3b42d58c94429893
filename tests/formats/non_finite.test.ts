import fc from "fast-check";
import { expect, test } from "vitest";
import { readJsonParts } from "../../formats/json.ts";
import { readBack } from "../helpers/formats.ts";

/** Parses `{"a": [<json>]}` in pieces of so many characters. */
async function read(json: string, size: number): Promise<unknown> {
  const text = `{"a": [${json}]}`;
  const encoder = new TextEncoder();
  async function* pieces() {
    for (let at = 0; at < text.length; at += size) {
      yield encoder.encode(text.slice(at, at + size).toWellFormed());
    }
  }
  const parts = await Array.fromAsync(readJsonParts(pieces(), ["$.a.*"], "JSON"));
  return parts.flat()[0]!.value;
}

test("bare NaN and Infinity become null, in pieces of any size; strings and other JSON stay", async () => {
  const word = fc.constantFrom('"', "\\", "N", "I", "NaN", "-Infinity", "-", "x", ": NaN", '\\"');
  const leaf = fc.oneof(
    fc.array(word).map((words) => words.join("")),
    fc.double(),
    fc.constantFrom(null, true, NaN, Infinity, -Infinity, -1, 1e-7),
  );
  const { tree } = fc.letrec((tie) => ({
    tree: fc.oneof(
      { depthSize: "small" },
      leaf,
      fc.array(tie("tree")),
      fc.dictionary(fc.string({ unit: "binary-ascii" }).filter((key) => key !== "__proto__"), tie("tree")),
    ),
  }));
  await fc.assert(fc.asyncProperty(tree, fc.integer({ min: 1, max: 12 }), async (value, size) => {
    const marker = "\u0001";
    const json = JSON.stringify(
      value,
      (_key, one) => typeof one === "number" && !Number.isFinite(one) ? `${marker}${one}${marker}` : one,
    ) as string;
    const asPython = json.replace(/"\\u0001(-?(?:NaN|Infinity))\\u0001"/g, "$1");
    expect(await read(asPython, size)).toEqual(JSON.parse(JSON.stringify(value)));
  }));
  for (const broken of ['{"a": Nan}', "[-I", "[Infinit", '"N', "-"]) {
    for (const size of [1, 3, 100]) await expect(read(broken, size)).rejects.toThrow(/not JSON|ends/);
  }
});

test("a file with non-finite numbers is read without those samples", async () => {
  const benchmark = `{"context": {"num_cpus": 2}, "benchmarks": [
    {"name": "a", "real_time": 2, "cpu_time": -NaN, "time_unit": "us", "rate": Infinity, "kept": 3},
    {"name": "a_BigO", "run_type": "aggregate", "aggregate_unit": "time", "cpu_coefficient": 1.5, "time_unit": "us"}]}`;
  const lit =
    '{"__version__": [14, 0, 6], "tests": [{"name": "b :: c", "code": "PASS", "output": "NaN", "metrics": {"nan": NaN, "size": 1}}]}';
  for (const size of [1, 7, 65_536]) {
    expect((await readBack(benchmark, { size })).records).toEqual([
      {
        case: "a",
        outcome: "passed",
        samples: [{ metric: "real_time", value: 2000, unit: "ns" }, { metric: "kept", value: 3 }],
      },
      {
        case: "a_BigO",
        outcome: "passed",
        samples: [{ metric: "cpu_coefficient", value: 1500, unit: "ns" }],
      },
    ]);
    expect((await readBack(lit, { size })).records[0]!.samples).toEqual([{ metric: "size", value: 1 }]);
  }
});
