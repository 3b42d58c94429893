import { Buffer } from "node:buffer";
import { constants, unzipSync } from "node:zlib";
import { MAX_CASE, MAX_EXCERPT, MAX_SAMPLES, type ResultRecord, type Sample } from "../schemas/record.ts";
import type { Outcome } from "../schemas/outcome.ts";
import { type FormatItem, machineOf, type ResultFormat } from "./format.ts";
import { caseName, excerpt, milliseconds } from "./text.ts";
import { sampleOf } from "./sample.ts";
import { readXml, rootOf, type XmlHandler } from "./xml.ts";
import { XmlFault } from "./xml_parser.ts";

const NAME = "CTest Test.xml";
/** Completion statuses of tests that CTest could not run because a requirement was not built; CTest counts them as failed. */
const MISSING = new Set(["Unable to find executable", "Missing Configuration", "Required Files Missing"]);

/** Whether a test did not run because a requirement is missing, by CTest's completion status. */
export function isMissing(completion: string | undefined): boolean {
  return MISSING.has(completion ?? "");
}

const STATUS: Record<string, Outcome> = { passed: "passed", failed: "failed", notrun: "skipped" };
/** Characters read of a value: packed output is small. */
const MAX_VALUE = 1 << 18;

/** CTest's own numbers, which are not measurements of the test. */
const OWN = /^(?:Execution Time|Exit Value|Processors)$/;

interface OpenTest {
  status: string;
  name: string;
  output: string;
  measured: Map<string, { type: string; value: string }>;
  samples: Sample[];
}

interface OpenValue {
  /** "" for the test's output. */
  name: string;
  type: string;
  isPacked: boolean;
  text: string;
}

/**
 * `Test.xml` as `ctest -T Test` writes it for CDash (CTest's cmCTestTestHandler). Each `Test` with a `Status` in `Testing` is a
 * case named by its `Name`: passed, failed (`timeout` if its measurement "Exit Code" is `Timeout`) or notrun (skipped, or error if
 * its program or a required file is missing). The test's own numeric measurements are samples.
 */
export const ctest: ResultFormat = {
  name: "ctest",
  summary: NAME,
  recognises: (_fileName, head) => rootOf(head) === "Site",
  parse: (input) => readXml(input, NAME, new CtestHandler()),
};

class CtestHandler implements XmlHandler<FormatItem> {
  readonly roots = ["Site"];
  #items: FormatItem[] = [];
  #test: OpenTest | undefined;
  #value: OpenValue | undefined;
  #times = "";
  #hasTesting = false;

  take(): FormatItem[] {
    const items = this.#items;
    this.#items = [];
    return items;
  }

  open(name: string, attributes: Record<string, string>, path: readonly string[]): void {
    if (name === "Site") this.#items.push(...machineOf(attributes.Hostname || attributes.Name));
    else if (name === "Testing") this.#hasTesting = true;
    else if (name === "Test" && path.at(-2) === "Testing") {
      this.#test = {
        status: attributes.Status ?? "",
        name: "",
        output: "",
        measured: new Map(),
        samples: [],
      };
    } else if (this.#test === undefined) return;
    else if (name === "NamedMeasurement" || name === "Measurement") {
      this.#value = {
        name: attributes.name ?? "",
        type: attributes.type ?? "",
        isPacked: false,
        text: "",
      };
    } else if (name === "Value" && this.#value !== undefined) {
      // CTest writes zlib's format but labels it gzip.
      this.#value.isPacked = attributes.encoding === "base64";
    }
  }

  text(text: string, path: readonly string[]): void {
    const parent = path.at(-1);
    if (this.#value !== undefined) {
      if (parent === "Value" && this.#value.text.length < MAX_VALUE) this.#value.text += text;
    } else if (parent === "Name" && this.#test !== undefined) {
      if (this.#test.name.length < MAX_CASE) this.#test.name += text;
    } else if (parent === "StartTestTime" || parent === "EndTestTime") this.#times += text.slice(0, 40);
  }

  close(name: string, path: readonly string[]): void {
    if (name === "StartTestTime") this.#time("startedAt");
    else if (name === "EndTestTime") this.#time("finishedAt");
    else if (name === "NamedMeasurement" || name === "Measurement") this.#measured(name);
    else if (name === "Test" && path.at(-1) === "Testing") this.#finish();
    else if (name === "Site" && !this.#hasTesting) throw new XmlFault("it has no Testing element");
  }

  #time(key: "startedAt" | "finishedAt"): void {
    const seconds = Number(this.#times.trim());
    this.#times = "";
    if (seconds > 0 && seconds < 253_402_300_800) {
      this.#items.push({ kind: "meta", key, value: new Date(seconds * 1000).toISOString() });
    }
  }

  #measured(element: string): void {
    if (this.#value === undefined || this.#test === undefined) return;
    const { name, type, isPacked, text } = this.#value;
    this.#value = undefined;
    const test = this.#test;
    if (element === "Measurement") test.output = isPacked ? unpack(text) : text;
    else if (!isPacked && test.measured.size < 1000) {
      const value = text.trim();
      test.measured.set(name, { type, value });
      const isSample = type.startsWith("numeric/") && !OWN.test(name) && value !== "";
      if (isSample && test.samples.length < MAX_SAMPLES) test.samples.push(...sampleOf(name, Number(value)));
    }
  }

  #finish(): void {
    const { name, status, output, measured, samples } = this.#test!;
    this.#test = undefined;
    const base = Object.hasOwn(STATUS, status) ? STATUS[status]! : undefined;
    if (base === undefined) {
      this.#items.push({
        kind: "rejected",
        place: `Test ${name.trim().slice(0, 200)}`,
        reason: `has a Status other than passed, failed or notrun: ${JSON.stringify(status.slice(0, 40))}`,
      });
      return;
    }
    const isTimeout = base === "failed" && /^timeout$/i.test(measured.get("Exit Code")?.value ?? "");
    const isUnbuilt = base === "skipped" && isMissing(measured.get("Completion Status")?.value);
    const outcome = isTimeout ? "timeout" : isUnbuilt ? "error" : base;
    const record: ResultRecord = { case: caseName(name), outcome };
    if (status !== outcome) record.word = status;
    const durationMs = milliseconds(measured.get("Execution Time")?.value);
    if (durationMs !== undefined) record.durationMs = durationMs;
    const reason = ["Completion Status", "Exit Code", "Exit Value", "Fail Reason"]
      .map((key) => measured.get(key)?.value ?? "").filter((value) => value !== "" && value !== "Completed");
    const message = outcome === "passed"
      ? undefined
      : excerpt(`${reason.join(", ")}\n${output.slice(0, MAX_EXCERPT * 2)}`);
    if (message !== undefined) record.message = message;
    if (samples.length > 0) record.samples = samples;
    this.#items.push({ kind: "result", record });
  }
}

/** Bytes read of packed output; unpacked, they exceed the excerpt that is kept. */
const MAX_PACKED = 1 << 14;

/** Unpacks the beginning of an output packed with zlib or gzip and encoded in base64. */
function unpack(text: string): string {
  try {
    const bytes = Buffer.from(text, "base64").subarray(0, MAX_PACKED);
    // zlib's highest ratio is 1032.
    const options = { finishFlush: constants.Z_SYNC_FLUSH, maxOutputLength: 1100 * MAX_PACKED };
    return unzipSync(bytes, options).toString("utf8", 0, MAX_EXCERPT * 4);
  } catch {
    return "(output that cannot be unpacked)";
  }
}
