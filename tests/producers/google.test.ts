import { parse } from "csv-parse/sync";
import { afterAll, beforeAll, expect } from "vitest";
import { type Hub, lines, producersHub, run, type Stored, suiteOf, tally } from "../helpers/producers.ts";
import { hasProgram, requires } from "../helpers/require.ts";

const hasHeader = (path: string) =>
  hasProgram("g++") && ["/usr/include", "/usr/local/include"].some((folder) => {
    try {
      return Deno.statSync(`${folder}/${path}`).isFile;
    } catch {
      return false;
    }
  });
const withGtest = requires(
  "g++ and GoogleTest",
  hasHeader("gtest/gtest.h"),
  "apt-get install g++ libgtest-dev",
);
const withBenchmark = requires(
  "g++ and Google Benchmark",
  hasHeader("benchmark/benchmark.h"),
  "apt-get install g++ libbenchmark-dev",
);

let hub: Hub;
const folders: string[] = [];
beforeAll(async () => {
  hub = await producersHub();
});
afterAll(async () => {
  await hub.close();
  for (const folder of folders) await Deno.remove(folder, { recursive: true });
});

async function built(name: string, ...libraries: string[]): Promise<string> {
  const folder = await suiteOf(name);
  folders.push(folder);
  const args = [
    "-O0",
    "-std=c++17",
    "suite.cc",
    "-o",
    "suite",
    ...libraries.map((one) => `-l${one}`),
    "-pthread",
  ];
  const { code, err } = await run(folder, "g++", args);
  expect([code, err]).toEqual([0, ""]);
  return folder;
}

withGtest("GoogleTest, XML and JSON: each test has its printed outcome", async () => {
  const folder = await built("gtest", "gtest", "gtest_main");
  const stored: Stored[] = [];
  for (const kind of ["xml", "json"]) {
    const { out } = await run(folder, "./suite", [`--gtest_output=${kind}:report.${kind}`]);
    const printed = [...out.matchAll(/^\[ +(OK|FAILED|SKIPPED) +\] ([^\s,]+)(?:, where .*)? \((\d+) ms\)$/gm)]
      .map(
        ([, word, name, ms]) => ({
          case: name!,
          outcome: { OK: "passed", FAILED: "failed", SKIPPED: "skipped" }[word!]!,
          ms: Number(ms),
        }),
      );
    const total = (word: string) => Number(new RegExp(`^\\[ +${word} +\\] (\\d+) test`, "m").exec(out)![1]);
    const disabled = Number(/YOU HAVE (\d+) DISABLED TESTS/.exec(out)![1]);
    expect(tally(printed.map((one) => one.outcome))).toEqual({
      passed: total("PASSED"),
      failed: total("FAILED"),
      skipped: total("SKIPPED"),
    });
    const never = ["Plain.DISABLED_Never", "DISABLED_Whole.Never"].map((name) => ({
      case: name,
      outcome: "skipped",
    }));
    expect(never).toHaveLength(disabled);
    const read = await hub.push(`${folder}/report.${kind}`);
    expect(lines(read.results)).toEqual(lines([...printed, ...never]));
    for (const { case: name, ms } of printed) {
      // Printed times are rounded; the file has seconds with three decimals.
      expect(read.results.find((one) => one.case === name)!.durationMs, name).toBe(ms);
    }
    expect(Math.max(...printed.map((one) => one.ms))).toBeGreaterThanOrEqual(40);
    const failures = Map.groupBy(
      [...out.matchAll(/^\[ RUN +\] (\S+)\n([^]*?)^\[ +(?:OK|FAILED|SKIPPED)/gm)],
      ([, name]) => name!,
    );
    for (const { case: name } of printed.filter((one) => one.outcome === "failed")) {
      const said = failures.get(name)![0]![2]!;
      const message = read.results.find((one) => one.case === name)!.message!;
      // XML cannot represent control characters, so GoogleTest omits them.
      const kept = kind === "xml" ? said.replaceAll("\x01", "").replaceAll("\x1b", "") : said;
      for (const line of message.split("\n").slice(1)) expect(kept, name).toContain(line);
      if (name !== "Plain.FailsTwice") continue;
      expect(message.match(/of two/g)).toEqual(["of two", "of two"]);
    }
    expect(read.samples).toEqual(
      new Map([["Plain.Records/1/widgets", 12], ["Plain.Records/1/ratio", 0.25]]),
    );
    stored.push(read);
  }
  const [xml, json] = stored.map(({ results }) =>
    results.filter((one) => one.outcome === "failed" && one.case !== "Plain.Controls").map((one) =>
      one.message
    )
  );
  expect(xml).toEqual(json);
  const skipped = stored[0]!.results.find((one) => one.case === "Plain.Skips")!;
  expect(skipped.message).toContain("not on this machine");
});

withBenchmark("Google Benchmark: each entry and counter equals its CSV", async () => {
  const folder = await built("gbench", "benchmark");
  const { out } = await run(folder, "./suite", [
    "--benchmark_out=report.json",
    "--benchmark_out_format=json",
    "--benchmark_format=csv",
  ]);
  const rows = parse(out, { columns: true, relax_column_count: true }) as Record<string, string>[];
  expect(rows.length).toBeGreaterThan(20);
  const { results, samples, counts } = await hub.push(`${folder}/report.json`);
  expect(counts).toEqual({ passed: rows.length - 1, error: 1 });
  const nanoseconds: Record<string, number> = { ns: 1, us: 1e3, ms: 1e6, s: 1e9 };
  const seen = new Map<string, number>();
  let compared = 0;
  for (const row of rows) {
    const name = row.name!;
    const ordinal = (seen.get(name) ?? 0) + 1;
    seen.set(name, ordinal);
    const result = results.find((one) => one.case === name && one.ordinal === ordinal)!;
    if (row.error_occurred === "true") {
      expect(result).toMatchObject({ outcome: "error", message: row.error_message });
      continue;
    }
    expect(result.outcome).toBe("passed");
    const isComplexity = name.endsWith("_BigO");
    // The CSV has coefficients in nanoseconds, the JSON in the benchmark's unit.
    const scale = isComplexity ? 1 : nanoseconds[row.time_unit!];
    for (const [column, text] of Object.entries(row)) {
      if (["name", "iterations", "time_unit", "label", "error_occurred", "error_message"].includes(column)) {
        continue;
      }
      const isTime = /^(?:real|cpu)_time$/.test(column);
      const metric = isTime && isComplexity ? column.replace("time", "coefficient") : column;
      const value = samples.get(`${name}/${ordinal}/${metric}`);
      // Its CSV scales a coefficient of variation as if it were a time, and an RMS has no name in it.
      if (isTime && /_(?:cv|RMS)$/.test(name)) continue;
      if (text === "" || !Number.isFinite(Number(text))) {
        expect(value, `${name} ${metric} ${text}`).toBeUndefined();
        continue;
      }
      const expected = Number(text) * (isTime ? scale! : 1);
      expect(Math.abs(value as number - expected), `${name} ${metric}`).toBeLessThanOrEqual(
        Math.abs(expected) * 1e-5,
      );
      compared++;
    }
  }
  expect(compared).toBeGreaterThan(40);
  expect([...samples.keys()].filter((key) => key.endsWith("/rms"))).toEqual([
    "Grows/iterations:20_RMS/1/rms",
  ]);
  expect(samples.get("Slow/iterations:1/1/real_time")).toBeGreaterThan(20e6);
  expect(samples.get("Manual/iterations:3/manual_time/1/real_time")).toBeCloseTo(2e6, 0);
});
