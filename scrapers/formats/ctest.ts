import { Buffer } from "node:buffer";
import { constants, inflateSync } from "node:zlib";
import { MAX_EXCERPT, type ResultRecord, type Sample } from "../../schemas/record.ts";
import type { Outcome } from "../../schemas/outcome.ts";
import { type FormatItem, machineOf, type ResultFormat } from "./format.ts";
import { caseName, excerpt, milliseconds } from "./text.ts";
import { sampleOf } from "./sample.ts";
import { readXml, type XmlHandler, xmlHead } from "./xml.ts";
import { XmlFault } from "./xml_parser.ts";

const NAME = "CTest Test.xml";
const STATUS: Record<string, Outcome> = { passed: "passed", failed: "failed", notrun: "skipped" };
/** Characters of a value that are read: packed output is small. */
const MAX_VALUE = 1 << 18;

/** Numbers of CTest's own that are not what the test measured. */
const OWN = /^(?:Execution Time|Exit Value|Processors)$/;

interface OpenTest {
  status: string;
  name: string;
  output: string;
  measured: Map<string, { type: string; value: string }>;
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
 * case by its `Name`: passed, failed (`timeout` where its measurement "Exit Code" is `Timeout`), notrun (skipped). Numeric
 * measurements of the test's own are samples.
 */
export const ctest: ResultFormat = {
  name: "ctest",
  summary: NAME,
  recognises: (_fileName, head) => /<(?:\w+:)?Site[\s>]/.test(xmlHead(head)),
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
      this.#test = { status: attributes.Status ?? "", name: "", output: "", measured: new Map() };
    } else if (this.#test === undefined) return;
    else if (name === "NamedMeasurement" || name === "Measurement") {
      this.#value = {
        name: attributes.name ?? "",
        type: attributes.type ?? "",
        isPacked: false,
        text: "",
      };
    } else if (name === "Value" && this.#value !== undefined) {
      // CTest writes zlib's format and calls it gzip.
      this.#value.isPacked = attributes.encoding === "base64";
    }
  }

  text(text: string, path: readonly string[]): void {
    const parent = path.at(-1);
    if (this.#value !== undefined) {
      if (parent === "Value" && this.#value.text.length < MAX_VALUE) this.#value.text += text;
    } else if (parent === "Name" && this.#test !== undefined) this.#test.name += text;
    else if (parent === "StartTestTime" || parent === "EndTestTime") this.#times += text.slice(0, 40);
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
    else if (!isPacked && test.measured.size < 1000) test.measured.set(name, { type, value: text.trim() });
  }

  #finish(): void {
    const { name, status, output, measured } = this.#test!;
    this.#test = undefined;
    const told = Object.hasOwn(STATUS, status) ? STATUS[status]! : undefined;
    if (told === undefined) {
      this.#items.push({
        kind: "rejected",
        place: `Test ${name.trim().slice(0, 200)}`,
        reason: `has a Status that is none of passed, failed, notrun: ${JSON.stringify(status.slice(0, 40))}`,
      });
      return;
    }
    const isTimeout = told === "failed" && /^timeout$/i.test(measured.get("Exit Code")?.value ?? "");
    const outcome = isTimeout ? "timeout" : told;
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
    const samples = [...measured].flatMap(([key, { type, value }]): Sample[] =>
      type.startsWith("numeric/") && !OWN.test(key) && value !== "" ? sampleOf(key, Number(value)) : []
    );
    if (samples.length > 0) record.samples = samples;
    this.#items.push({ kind: "result", record });
  }
}

/** The beginning of an output that was packed by zlib and put in base64. */
function unpack(text: string): string {
  try {
    const bytes = Buffer.from(text, "base64");
    return inflateSync(bytes, { finishFlush: constants.Z_SYNC_FLUSH, maxOutputLength: 1 << 24 }).toString(
      "utf8",
    );
  } catch {
    return "(output that cannot be unpacked)";
  }
}
