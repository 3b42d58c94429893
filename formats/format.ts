import { HubError } from "../errors.ts";
import type { ResultRecord } from "../schemas/record.ts";

/** What a format yields: a result, a record that cannot be one, or something the file says of the run as a whole. */
export type FormatItem =
  | {
    kind: "result";
    record: ResultRecord;
    /** Planned by the file, yet without a result in it; `not_run`, and counted apart. */
    isMissing?: boolean;
  }
  | { kind: "rejected"; place: string; reason: string }
  | { kind: "meta"; key: "startedAt" | "finishedAt" | "machine"; value: string }
  /** Something that a reader should know and that is no result: an interrupted file, an error of the harness. */
  | { kind: "note"; place: string; text: string };

/** A kind of result file. Parsers are pure: bytes in, items out, some at a time, in bounded memory. */
export interface ResultFormat {
  name: string;
  summary: string;
  /** Whether a file is of this kind, by its name (without folders) and its first bytes. */
  recognises(fileName: string, head: Uint8Array): boolean;
  /** @throws FormatError where the file cannot be read as a whole */
  parse(input: AsyncIterable<Uint8Array>): AsyncGenerator<FormatItem[]>;
}

/** The file as a whole cannot be read; says where. */
export class FormatError extends HubError {
  override name = "HubError";
  constructor(format: string, message: string, options: { cause?: unknown } = {}) {
    super("BAD_REQUEST", `Not a readable ${format} file: ${message}`, options);
  }
}

/** Bytes that `detectFormat` wants to see. */
export const HEAD_BYTES = 4096;

/** A time that a file tells, in UTC where it names no zone; nothing where it is none one can believe. */
export function timeOf(key: "startedAt" | "finishedAt", time: unknown): FormatItem[] {
  const match = typeof time === "string"
    ? /^((?:19[7-9]\d|2\d{3})-\d\d-\d\d)[T ](\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?) ?(Z|UTC|[-+]\d\d:?\d\d)?$/.exec(
      time.trim(),
    )
    : null;
  if (match === null) return [];
  const [, day, clock, zone = "Z"] = match;
  const ms = Date.parse(`${day}T${clock!.replace(",", ".")}${zone === "UTC" ? "Z" : zone}`);
  return Number.isNaN(ms) ? [] : [{ kind: "meta", key, value: new Date(ms).toISOString() }];
}

/** The machine that a file names, or nothing. */
export function machineOf(name: unknown): FormatItem[] {
  const machine = typeof name === "string" ? name.replace(/\p{Cc}/gu, " ").trim().slice(0, 256) : "";
  return machine === "" ? [] : [{ kind: "meta", key: "machine", value: machine }];
}
