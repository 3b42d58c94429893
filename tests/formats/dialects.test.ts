import { deflateSync } from "node:zlib";
import { expect, test } from "vitest";
import { HubError } from "../../errors.ts";
import { resultRecord } from "../../schemas/record.ts";
import { readBack } from "../helpers/formats.ts";
import { requires } from "../helpers/require.ts";

interface Sample {
  file: string;
  format: string;
  valid: boolean;
  cases: number;
  counts: Record<string, number>;
  samples?: number;
}
const samples = Deno.env.get("CHUB_SAMPLES") || undefined;
const withSamples = requires(
  "CHUB_SAMPLES",
  samples !== undefined,
  "set it to the folder of the sample inputs",
);

withSamples(
  "every sample gives its manifest's counts, with and without its name, or a clear error",
  async () => {
    const manifest = JSON.parse(await Deno.readTextFile(`${samples}/manifest.json`)) as { samples: Sample[] };
    const all = manifest.samples.filter((sample) => sample.format !== "listing");
    expect(new Set(all.map((sample) => sample.format)).size).toBe(7);
    for (const sample of all) {
      const bytes = await Deno.readFile(`${samples}/${sample.file}`);
      for (const [name, size] of [[sample.file, 65_536], ["", 7]] as const) {
        const reading = readBack(bytes, { name, size });
        if (!sample.valid) {
          await expect(reading, sample.file).rejects.toBeInstanceOf(HubError);
          continue;
        }
        const read = await reading;
        for (const record of read.records) expect(resultRecord.safeParse(record).error).toBeUndefined();
        expect([sample.file, read.records.length, read.rejected]).toEqual([sample.file, sample.cases, []]);
        if (sample.format === "lnt") {
          expect([sample.file, read.samples]).toEqual([
            sample.file,
            sample.samples ?? sample.counts.samples ?? 0,
          ]);
        } else {
          const counts = Object.fromEntries(Object.entries(sample.counts).filter(([, count]) => count > 0));
          expect([sample.file, read.counts]).toEqual([sample.file, counts]);
        }
      }
    }
  },
);

test("CTest: outcomes, packed output, measurements as samples, times and the machine", async () => {
  const packed = deflateSync("it broke").toString("base64");
  const xml = `<?xml version="1.0" encoding="UTF-8"?>
<Site Name="site" Hostname="box"><Testing><StartTestTime>1700000000</StartTestTime>
<TestList><Test>./a</Test></TestList>
<Test Status="passed"><Name>a</Name><Results>
  <NamedMeasurement type="numeric/double" name="Execution Time"><Value>0.25</Value></NamedMeasurement>
  <NamedMeasurement type="numeric/double" name="peak"><Value>12.5</Value></NamedMeasurement>
  <NamedMeasurement type="text/string" name="Completion Status"><Value>Completed</Value></NamedMeasurement>
  <Measurement><Value>fine</Value></Measurement></Results></Test>
<Test Status="failed"><Name>b</Name><Results>
  <NamedMeasurement type="text/string" name="Exit Code"><Value>Timeout</Value></NamedMeasurement></Results></Test>
<Test Status="failed"><Name>c</Name><Results>
  <Measurement><Value encoding="base64" compression="gzip">${packed}</Value></Measurement></Results></Test>
<Test Status="notrun"><Name>d</Name><Results>
  <NamedMeasurement type="text/string" name="Completion Status"><Value>Disabled</Value></NamedMeasurement></Results></Test>
<Test Status="odd"><Name>e</Name></Test>
<EndTestTime>1700000060</EndTestTime></Testing></Site>`;
  const read = await readBack(xml, { size: 13 });
  expect(read.records).toEqual([
    { case: "a", outcome: "passed", durationMs: 250, samples: [{ metric: "peak", value: 12.5 }] },
    { case: "b", outcome: "timeout", word: "failed", message: "Timeout" },
    { case: "c", outcome: "failed", message: "it broke" },
    { case: "d", outcome: "skipped", word: "notrun", message: "Disabled" },
  ]);
  expect(read.rejected).toEqual([expect.stringContaining('other than passed, failed or notrun: "odd"')]);
  expect(read.meta).toEqual({
    machine: "box",
    startedAt: "2023-11-14T22:13:20.000Z",
    finishedAt: "2023-11-14T22:14:20.000Z",
  });
  await expect(readBack("<Site><Build/></Site>")).rejects.toThrow("no Testing element");
});

test("lit: codes, micro-tests, metrics, and invalid tests", async () => {
  const read = await readBack(
    JSON.stringify({
      __version__: [17, 0, 0],
      elapsed: 1.5,
      tests: [
        {
          name: "s :: a",
          code: "PASS",
          elapsed: 0.5,
          output: "not kept",
          metrics: { time: 1.5, hash: "ab" },
        },
        { name: "s :: a:micro", code: "PASS", elapsed: null, output: "" },
        { name: "s :: b", code: "NOEXE", output: "no file" },
        { name: "s :: c", code: "EXCLUDED" },
        { name: "s :: d", code: "ODD" },
        { name: "s :: e", code: "TIMEOUT" },
        { name: 5 },
      ],
    }),
    { size: 9 },
  );
  expect(read.records.map(({ case: name, outcome, word }) => [name, outcome, word])).toEqual([
    ["s :: a", "passed", undefined],
    ["s :: a:micro", "passed", undefined],
    ["s :: b", "error", "NOEXE"],
    ["s :: c", "skipped", "EXCLUDED"],
    ["s :: d", "unresolved", "ODD"],
    ["s :: e", "timeout", undefined],
  ]);
  expect(read.records[0]!.samples).toEqual([{ metric: "time", value: 1.5 }, { metric: "hash", value: "ab" }]);
  expect(read.rejected).toEqual(["tests[6] is not a test with a name and a code"]);
});

test("GoogleTest JSON: failures, disabled and skipped tests", async () => {
  const read = await readBack(JSON.stringify({
    tests: 4,
    timestamp: "2024-05-01T10:00:00Z",
    testsuites: [{
      name: "S",
      testsuite: [
        { name: "a", status: "RUN", result: "COMPLETED", time: "0.125s", classname: "S" },
        { name: "b", status: "RUN", time: "0s", failures: [{ failure: "x.cc:1\nexpected", type: "" }] },
        { name: "c", status: "NOTRUN", result: "SUPPRESSED", classname: "S" },
        { name: "d", status: "RUN", result: "SKIPPED", classname: "S", skipped: [{ message: "no gpu" }] },
      ],
    }],
  }));
  expect(read.records).toEqual([
    { case: "S.a", outcome: "passed", durationMs: 125 },
    { case: "S.b", outcome: "failed", durationMs: 0, message: "x.cc:1\nexpected" },
    { case: "S.c", outcome: "skipped", word: "SUPPRESSED" },
    { case: "S.d", outcome: "skipped", word: "SKIPPED", message: "no gpu" },
  ]);
  expect(read.meta.startedAt).toBe("2024-05-01T10:00:00.000Z");
});

test("LNT: both shapes, statuses, values in quotes; another version is refused", async () => {
  const v2 = await readBack(JSON.stringify({
    format_version: "2",
    machine: { name: "m1", hardware: "x" },
    run: { start_time: "2017-07-18T11:28:33.5", end_time: "2017-07-18 11:30:00" },
    tests: [
      { name: "a", execution_time: [0.1, "0.2"], hash: "49", compile_status: 0 },
      { name: "b", execution_status: 1 },
      { name: "c", compile_status: "2", id: 7 },
      { name: "d", hash_status: 1 },
      {},
    ],
  }));
  expect(v2.records).toEqual([
    {
      case: "a",
      outcome: "passed",
      samples: [
        { metric: "execution_time", value: 0.1 },
        { metric: "execution_time", value: 0.2 },
        { metric: "hash", value: "49" },
        { metric: "compile_status", value: 0 },
      ],
    },
    { case: "b", outcome: "failed", samples: [{ metric: "execution_status", value: 1 }] },
    { case: "c", outcome: "xfailed", samples: [{ metric: "compile_status", value: 2 }] },
    { case: "d", outcome: "passed", samples: [{ metric: "hash_status", value: 1 }] },
  ]);
  expect(v2.rejected).toEqual(["tests[4] is not a test with a name"]);
  expect(v2.meta).toEqual({
    machine: "m1",
    startedAt: "2017-07-18T11:28:33.500Z",
    finishedAt: "2017-07-18T11:30:00.000Z",
  });
  const v0 = await readBack(JSON.stringify({
    Machine: { Name: "old", Info: {} },
    Run: { "Start Time": "2009-11-17 02:12:25", Info: { __report_version__: "1" } },
    Tests: [
      { Name: "nts.x.exec", Data: [1.5, 1.6], Info: {} },
      { Name: "nts.x.exec.status", Data: [1] },
      { Name: "plain", Data: [3] },
    ],
  }));
  expect(v0.records.map(({ outcome, samples }) => [outcome, samples!.map(({ metric }) => metric)])).toEqual([
    ["passed", ["execution_time", "execution_time"]],
    ["failed", ["execution_status"]],
    ["passed", ["value"]],
  ]);
  const v5 = { format_version: "5", machine: {}, run: {}, tests: [] };
  await expect(readBack(JSON.stringify(v5))).rejects.toThrow('version must be 0, 1 or 2, got "5"');
  await expect(readBack('{"format_version": "2", "tests": []}')).rejects.toThrow("`machine` and `run`");
});

test("Google Benchmark: times in nanoseconds, counters, repetitions, errors", async () => {
  const read = await readBack(JSON.stringify({
    context: { date: "2024-05-01T10:00:00+02:00", host_name: "box", num_cpus: 8 },
    benchmarks: [
      {
        name: "BM_a/8",
        run_type: "iteration",
        iterations: 10,
        real_time: 1.5,
        cpu_time: 1,
        time_unit: "us",
        bytes: 7,
      },
      { name: "BM_a/8", run_type: "iteration", iterations: 10, real_time: 1.6, cpu_time: 1, time_unit: "us" },
      {
        name: "BM_a/8_cv",
        aggregate_name: "cv",
        aggregate_unit: "percentage",
        real_time: 0.1,
        cpu_time: 0.1,
        time_unit: "us",
      },
      { name: "BM_b", error_occurred: true, error_message: "no" },
    ],
  }));
  expect(read.records).toEqual([
    {
      case: "BM_a/8",
      outcome: "passed",
      samples: [
        { metric: "real_time", value: 1500, unit: "ns" },
        { metric: "cpu_time", value: 1000, unit: "ns" },
        { metric: "bytes", value: 7 },
      ],
    },
    expect.objectContaining({ case: "BM_a/8" }),
    {
      case: "BM_a/8_cv",
      outcome: "passed",
      samples: [{ metric: "real_time", value: 0.1 }, { metric: "cpu_time", value: 0.1 }],
    },
    { case: "BM_b", outcome: "error", message: "no" },
  ]);
  expect(read.meta).toEqual({ machine: "box", startedAt: "2024-05-01T08:00:00.000Z" });
});

test("NDJSON and CSV of wire records, bad records by line", async () => {
  const ndjson = await readBack(
    '{"case":"a","outcome":"passed","word":null,"durationMs":1.5,"runId":3}\n\nnot json\n{"case":"b","outcome":"broken"}\n' +
      '{"case":"c","outcome":"failed","message":"m","samples":[{"metric":"x","value":1}]}',
    { size: 6 },
  );
  expect(ndjson.records).toEqual([
    { case: "a", outcome: "passed", durationMs: 1.5 },
    { case: "c", outcome: "failed", message: "m", samples: [{ metric: "x", value: 1 }] },
  ]);
  expect(ndjson.rejected).toEqual([
    expect.stringMatching(/^line 3 is not JSON/),
    expect.stringMatching(/^line 4 outcome:/),
  ]);
  const csv = await readBack(
    'changelist,case,outcome,durationMs,message\r\n5,a,passed,1.5,\r\n5,"b ""c""",failed,,"two\r\nlines"\r\n5,d,odd,,\r\n5,\'-e,passed,,\r\n',
    { size: 4 },
  );
  expect(csv.records).toEqual([
    { case: "a", outcome: "passed", durationMs: 1.5 },
    { case: 'b "c"', outcome: "failed", message: "two\r\nlines" },
    { case: "-e", outcome: "passed" },
  ]);
  expect(csv.rejected).toHaveLength(1);
  await expect(readBack('case,outcome\na,"passed')).rejects.toThrow("Not a readable CSV file");
});

test("JSON that is truncated, nested too deep, followed by other content, or not UTF-8", async () => {
  const head = '{"__version__": [1], "tests": [{"name": "a", "code": "PASS"}';
  for (
    const [text, reason] of [
      [head, "lit JSON file"],
      [`${head}]} more`, "lit JSON file"],
      [`${head}, ${"[".repeat(300)}`, "nested deeper than 200 levels"],
      [`${head}], "x": tru}`, "it is not JSON"],
    ] as const
  ) {
    for (const size of [7, 65_536]) await expect(readBack(text, { size })).rejects.toThrow(reason);
  }
  const bytes = new TextEncoder().encode(`${head}]}`);
  bytes[bytes.length - 8] = 0xff;
  await expect(readBack(bytes)).rejects.toThrow("not valid utf-8");
});
