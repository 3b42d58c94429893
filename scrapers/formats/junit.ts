import sax, { type Tag } from "sax";
import { MAX_CASE, MAX_EXCERPT, type ResultRecord } from "../../schemas/record.ts";
import type { Outcome } from "../../schemas/outcome.ts";
import { decodeXml } from "./encoding.ts";
import { FormatError, type FormatItem, type ResultFormat } from "./format.ts";

const NAME = "JUnit XML";
const MAX_DEPTH = 200;
const MAX_TAG = 1 << 20;
// Runners put a failure's whole output into an attribute; sax refuses more than 64 KiB unless told.
sax.MAX_BUFFER_LENGTH = MAX_TAG;
/** Worst last. */
const RANK: Outcome[] = ["passed", "skipped", "failed", "error"];
const NOT_RUN = /^(?:notrun|suppressed|disabled)$/i;

interface OpenCase {
  name: string;
  outcome: Outcome;
  word: string | undefined;
  durationMs: number | undefined;
  message: string;
  output: string;
}

/**
 * JUnit XML as Surefire, Jenkins, pytest, GoogleTest, PHPUnit, Jest and lit write it (there is no standard; the Jenkins
 * junit-plugin's schema is the nearest). Every `testcase` at any depth is one case: `error`, else `failure`, else
 * `skipped`, else passed; Surefire's flaky and rerun elements do not change it. Named `<classname>.<name>`.
 */
export const junit: ResultFormat = {
  name: "junit",
  summary: NAME,
  recognises(_fileName, head) {
    const text = new TextDecoder(
      head[0] === 0xff || head[1] === 0
        ? "utf-16le"
        : head[0] === 0xfe || head[0] === 0
        ? "utf-16be"
        : "utf-8",
    ).decode(head);
    return /<(?:\w+:)?test(?:suites?|case)[\s>/]/.test(text);
  },
  async *parse(input) {
    const reader = new Reader();
    for await (const text of decodeXml(input, NAME)) {
      reader.write(text);
      yield* reader.take();
    }
    reader.end();
    yield* reader.take();
  },
};

class Reader {
  #items: FormatItem[] = [];
  #path: string[] = [];
  #case: OpenCase | undefined;
  #suites: string[] = [];
  #hasRoot = false;
  #isOver = false;
  #sinceTag = 0;
  #parser = sax.parser(true, { position: true, strictEntities: false });

  constructor() {
    const parser = this.#parser;
    parser.onerror = (error) => {
      throw this.#fault(error.message.split("\n")[0]!);
    };
    parser.ondoctype = (text) => {
      if (/\[/.test(text) || /\b(?:SYSTEM|PUBLIC)\b/.test(text)) {
        throw this.#fault("it declares a document type with entities or outside parts, which are never read");
      }
    };
    parser.onopentag = (tag) => this.#open(tag);
    parser.onclosetag = (name) => this.#close(name.replace(/^.*:/, ""));
    parser.ontext = (text) => this.#text(text);
    parser.oncdata = (text) => this.#text(text);
  }

  write(text: string): void {
    if (text === "") return;
    this.#sinceTag += text.length;
    this.#guarded(() => this.#parser.write(text));
    if (this.#sinceTag > 64 * MAX_TAG) throw this.#fault("one element is larger than 64 MiB");
  }

  end(): void {
    if (!this.#hasRoot) throw new FormatError(NAME, "it is empty");
    this.#guarded(() => this.#parser.close());
    if (!this.#isOver) throw this.#fault("it ends in the middle");
  }

  *take(): Generator<FormatItem> {
    const items = this.#items;
    this.#items = [];
    yield* items;
  }

  #guarded(run: () => void): void {
    try {
      run();
    } catch (error) {
      if (error instanceof FormatError) throw error;
      throw this.#fault(error instanceof Error ? error.message.split("\n")[0]! : String(error));
    }
  }

  #fault(reason: string): FormatError {
    return new FormatError(
      NAME,
      `line ${this.#parser.line + 1}, column ${this.#parser.column + 1}: ${reason}`,
    );
  }

  #open(tag: Tag): void {
    this.#sinceTag = 0;
    const name = tag.name.replace(/^.*:/, "");
    if (this.#path.length >= MAX_DEPTH) throw this.#fault(`elements are nested deeper than ${MAX_DEPTH}`);
    if (this.#isOver) throw this.#fault("it has a second root");
    if (!this.#hasRoot) {
      if (!["testsuites", "testsuite", "testcase", "testrun"].includes(name)) {
        throw this.#fault(`its root is ${JSON.stringify(tag.name)}, not testsuites or testsuite`);
      }
      this.#hasRoot = true;
    }
    this.#path.push(name);
    const parent = this.#path.at(-2);
    if (name === "testsuite") this.#suite(tag.attributes);
    else if (name === "testcase") this.#begin(tag.attributes);
    else if (this.#case !== undefined && parent === "testcase") this.#child(name, tag.attributes);
  }

  #suite(attributes: Record<string, string>): void {
    this.#suites.push(attributes.name ?? "");
    if (this.#suites.length > 1) return;
    const { timestamp, hostname } = attributes;
    if (timestamp !== undefined && /^(?:19[7-9]\d|2\d{3})-\d\d-\d\dT/.test(timestamp)) {
      this.#items.push({ kind: "meta", key: "startedAt", value: timestamp });
    }
    if (hostname !== undefined && hostname !== "") {
      this.#items.push({ kind: "meta", key: "machine", value: hostname.slice(0, 256) });
    }
  }

  #begin(attributes: Record<string, string>): void {
    if (this.#case !== undefined) throw this.#fault("a testcase lies in another");
    const { name = "", classname, status, result } = attributes;
    const prefix = classname ?? this.#suites.filter((suite) => suite !== "").join(".");
    const word = [status, result].find((one) => one !== undefined && NOT_RUN.test(one));
    this.#case = {
      name: caseName(prefix, name),
      outcome: word === undefined ? "passed" : "skipped",
      word,
      durationMs: milliseconds(attributes.time),
      message: "",
      output: "",
    };
  }

  #child(name: string, attributes: Record<string, string>): void {
    const open = this.#case!;
    const outcome: Outcome | undefined = name === "failure"
      ? "failed"
      : name === "error"
      ? "error"
      : name === "skipped" || name === "ignored"
      ? "skipped"
      : undefined;
    if (outcome === undefined) return;
    if (RANK.indexOf(outcome) > RANK.indexOf(open.outcome)) {
      open.outcome = outcome;
      open.message = "";
      open.word = undefined;
    }
    if (outcome === open.outcome) {
      const text = [attributes.type, attributes.message].filter((part) => part !== undefined && part !== "")
        .join(": ");
      if (text !== "") open.message = (open.message + text + "\n").slice(0, MAX_EXCERPT);
    }
  }

  #text(text: string): void {
    const open = this.#case;
    const parent = this.#path.at(-1);
    if (open === undefined) return;
    if (parent === "failure" || parent === "error" || parent === "skipped") {
      if (open.message.length < MAX_EXCERPT) open.message = (open.message + text).slice(0, MAX_EXCERPT);
    } else if ((parent === "system-out" || parent === "system-err") && open.output.length < MAX_EXCERPT) {
      open.output = (open.output + text).slice(0, MAX_EXCERPT);
    }
  }

  #close(name: string): void {
    this.#sinceTag = 0;
    this.#path.pop();
    if (name === "testsuite") this.#suites.pop();
    if (name === "testcase") this.#finish();
    if (this.#path.length === 0) this.#isOver = true;
  }

  #finish(): void {
    const { name, outcome, word, durationMs, message, output } = this.#case!;
    this.#case = undefined;
    const text = message.trim() !== ""
      ? message.trim()
      : outcome === "failed" || outcome === "error"
      ? output.trim()
      : "";
    const record: ResultRecord = { case: name, outcome };
    if (word !== undefined) record.word = word;
    if (durationMs !== undefined) record.durationMs = durationMs;
    if (text !== "") record.message = cleanText(text);
    this.#items.push({ kind: "result", record });
  }
}

function caseName(prefix: string, name: string): string {
  const whole = prefix === "" ? name : name === "" ? prefix : `${prefix}.${name}`;
  return cleanText(whole).slice(0, MAX_CASE) || "(no name)";
}

/** Postgres holds neither NUL nor lone surrogates. */
function cleanText(text: string): string {
  return text.toWellFormed().replaceAll("\0", "\uFFFD");
}

/** `time` is in seconds, at times with thousands' commas; what is no number is left out. */
function milliseconds(time: string | undefined): number | undefined {
  if (time === undefined) return undefined;
  const isGrouped = /^[1-9]\d{0,2}(?:,\d{3})+(?:\.\d*)?$/.test(time.trim());
  const seconds = Number(isGrouped ? time.replaceAll(",", "") : time.trim().replace(",", "."));
  return time.trim() !== "" && Number.isFinite(seconds) && seconds >= 0 && seconds < 1e9
    ? Math.round(seconds * 1e6) / 1e3
    : undefined;
}
