import { MAX_SAMPLES, type ResultRecord, type Sample } from "../schemas/record.ts";
import type { Outcome } from "../schemas/outcome.ts";
import { FormatError, type FormatItem, machineOf, type ResultFormat, timeOf } from "./format.ts";
import { asObject, asText, type JsonPart, type JsonRoot, readJsonParts } from "./json.ts";
import { headText } from "./lines.ts";
import { sampleOf } from "./sample.ts";
import { caseName } from "./text.ts";

const NAME = "LNT report";
const PATHS = [
  ...["$.format_version", "$.machine.name", "$.run.start_time", "$.run.end_time", "$.tests.*"],
  ...["$.Machine.Name", "$.Run.Start Time", "$.Run.End Time", "$.Run.Info.__report_version__", "$.Tests.*"],
];
/** lnt/testing/__init__.py: PASS, FAIL, XFAIL. */
const STATUS: Record<string, Outcome> = { "0": "passed", "1": "failed", "2": "xfailed" };
/** Metrics by the suffix of a name in versions 0 and 1 (lnt/testing, upgrade to version 2). */
const SUFFIXES: [RegExp, string][] = [
  [/\.compile\.status$/, "compile_status"],
  [/\.exec\.status$/, "execution_status"],
  [/\.hash\.status$/, "hash_status"],
  [/\.compile$/, "compile_time"],
  [/\.exec$/, "execution_time"],
  [/\.hash$/, "hash"],
  [/\.score$/, "score"],
  [/\.code_size$/, "code_size"],
  [/\.mem$/, "mem_bytes"],
  [/\.size$/, "size_bytes"],
  [/\.user$/, "user_time"],
  [/\.sys$/, "sys_time"],
  [/\.wall$/, "wall_time"],
  [/\.profile$/, "profile"],
  [/\.status$/, "status"],
];

/**
 * A report for LLVM LNT (its manual, "Importing data"): versions 0 and 1 (`Machine`, `Run`, `Tests`, one entry per test and
 * metric) and 2 (`machine`, `run`, `tests`, one entry per test). Each entry is a case, each value a sample. A status of 1 means
 * failed, 2 means xfailed, else it passed. @throws FormatError for other versions
 */
export const lnt: ResultFormat = {
  name: "lnt",
  summary: `${NAME} (JSON, versions 0 to 2)`,
  recognises(_fileName, head) {
    const text = headText(head);
    if (!/^\s*\{/.test(text) || /"code"\s*:|"testsuites"\s*:|"benchmarks"\s*:/.test(text)) return false;
    // The machine's description may fill the whole head.
    return /^\s*\{\s*"(?:Machine"\s*:\s*\{\s*"(?:Info|Name)"|Run"\s*:\s*\{\s*"(?:End Time|Info|Start Time)")/
      .test(text) ||
      /"(?:Machine|machine)"\s*:/.test(text) && /"(?:Run|run)"\s*:/.test(text) ||
      /"format_version"\s*:/.test(text) ||
      /^\s*\{\s*"(?:Tests|tests)"\s*:\s*\[\s*\{[^}]*"(?:Name|name)"\s*:/.test(text);
  },
  async *parse(input) {
    const root: JsonRoot = new Map();
    for await (const parts of readJsonParts(input, PATHS, NAME, root)) yield parts.flatMap(itemsOf);
    const tests = root.get("tests") ?? root.get("Tests");
    const machine = root.get("machine") ?? root.get("Machine");
    const run = root.get("run") ?? root.get("Run");
    if (tests !== "list" || machine !== "object" || run !== "object") {
      throw new FormatError(NAME, "it must have the objects `machine` and `run` and the list `tests`");
    }
  },
};

function itemsOf({ path: [first, second], value }: JsonPart): FormatItem[] {
  if (first === "tests") return [fromV2(asObject(value), `tests[${second}]`)];
  if (first === "Tests") return [fromV0(asObject(value), `Tests[${second}]`)];
  if (first === "format_version" || second === "Info") checkVersion(value);
  if (first === "machine" || first === "Machine") return machineOf(value);
  if (second === "start_time" || second === "Start Time") return timeOf("startedAt", value);
  if (second === "end_time" || second === "End Time") return timeOf("finishedAt", value);
  return [];
}

function checkVersion(value: unknown): void {
  if (!["0", "1", "2"].includes(asText(value))) {
    throw new FormatError(
      NAME,
      `its version must be 0, 1 or 2, got ${JSON.stringify(value)?.slice(0, 40)}`,
    );
  }
}

function fromV2(test: Record<string, unknown> | undefined, place: string): FormatItem {
  if (typeof test?.name !== "string") return { kind: "rejected", place, reason: "is not a test with a name" };
  const samples: Sample[] = [];
  let outcome: Outcome = "passed";
  for (const [metric, value] of Object.entries(test)) {
    // `id` and `run_id` are an LNT server's own ids of its samples and runs.
    if (metric === "name" || metric === "id" || metric === "run_id") continue;
    const values = Array.isArray(value) ? value : [value];
    for (const one of values) {
      if (samples.length <= MAX_SAMPLES) samples.push(...sampleOf(metric, numberOf(metric, one)));
    }
    if (/status$/.test(metric) && metric !== "hash_status") outcome = worse(outcome, values);
  }
  return toItem(test.name, outcome, samples, place);
}

function fromV0(test: Record<string, unknown> | undefined, place: string): FormatItem {
  if (typeof test?.Name !== "string" || !Array.isArray(test.Data)) {
    return { kind: "rejected", place, reason: "is not a test with a Name and Data" };
  }
  const name = test.Name;
  const metric = SUFFIXES.find(([suffix]) => suffix.test(name))?.[1] ?? "value";
  const isStatus = /status$/.test(metric) && metric !== "hash_status";
  return toItem(
    name,
    isStatus ? worse("passed", test.Data) : "passed",
    test.Data.slice(0, MAX_SAMPLES + 1).flatMap((one) => sampleOf(metric, numberOf(metric, one))),
    place,
  );
}

/** LNT accepts numbers in quotes too. A hash is always text, even if it looks like a number. */
function numberOf(metric: string, value: unknown): unknown {
  return typeof value === "string" && metric !== "hash" &&
      /^\s*[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[-+]?\d+)?\s*$/i.test(value)
    ? Number(value)
    : value;
}

const RANK: Outcome[] = ["passed", "xfailed", "failed"];

function worse(outcome: Outcome, values: unknown[]): Outcome {
  for (const value of values) {
    const mapped = STATUS[String(Number(asText(value) || NaN))] ?? "passed";
    if (RANK.indexOf(mapped) > RANK.indexOf(outcome)) outcome = mapped;
  }
  return outcome;
}

function toItem(name: string, outcome: Outcome, samples: Sample[], place: string): FormatItem {
  if (samples.length > MAX_SAMPLES) {
    return { kind: "rejected", place, reason: `has more than ${MAX_SAMPLES} values` };
  }
  const record: ResultRecord = { case: caseName(name), outcome };
  if (samples.length > 0) record.samples = samples;
  return { kind: "result", record };
}
