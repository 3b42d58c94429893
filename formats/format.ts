import { HubError } from "../errors.ts";
import type { ResultRecord } from "../schemas/record.ts";

/** An item of a parsed file: a result, a rejected record, metadata of the whole run, or a note. */
export type FormatItem =
  | {
    kind: "result";
    record: ResultRecord;
    /** Set for a case that the file plans but has no result of; its outcome is `not_run`, and it is counted separately. */
    isMissing?: boolean;
  }
  | { kind: "rejected"; place: string; reason: string }
  | { kind: "meta"; key: "startedAt" | "finishedAt" | "machine"; value: string }
  /** Information for people besides the results, such as a truncated file or an error of the harness. */
  | { kind: "note"; place: string; text: string };

/** A result file format. Parsers are pure and streaming: bytes in, batches of items out, in bounded memory. */
export interface ResultFormat {
  name: string;
  summary: string;
  /** Whether a file has this format, by its name (without folders) and its first `HEAD_BYTES`. */
  recognises(fileName: string, head: Uint8Array): boolean;
  /** @throws FormatError when the file as a whole is unreadable */
  parse(input: AsyncIterable<Uint8Array>): AsyncGenerator<FormatItem[]>;
}

/** The file as a whole is unreadable; the message contains the place. */
export class FormatError extends HubError {
  override name = "HubError";
  constructor(format: string, message: string, options: { cause?: unknown } = {}) {
    super("BAD_REQUEST", `Not a readable ${format} file: ${message}`, options);
  }
}

/** Bytes that `detectFormat` needs from the start of a file. */
export const HEAD_BYTES = 4096;

/** The metadata item of a time in a file, read as UTC if it has no zone; no item for an invalid or implausible time. */
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

/** The metadata item of a machine's name; no item for a blank name. */
export function machineOf(name: unknown): FormatItem[] {
  const machine = typeof name === "string" ? name.replace(/\p{Cc}/gu, " ").trim().slice(0, 256) : "";
  return machine === "" ? [] : [{ kind: "meta", key: "machine", value: machine }];
}
