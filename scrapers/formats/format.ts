import { HubError } from "../../errors.ts";
import type { ResultRecord } from "../../schemas/record.ts";

/** What a format yields: a result, a record that cannot be one, or something the file says of the run as a whole. */
export type FormatItem =
  | { kind: "result"; record: ResultRecord }
  | { kind: "rejected"; place: string; reason: string }
  | { kind: "meta"; key: "startedAt" | "machine"; value: string };

/** A kind of result file. Parsers are pure: bytes in, items out, in bounded memory. */
export interface ResultFormat {
  name: string;
  summary: string;
  /** Whether a file is of this kind, by its name (without folders) and its first bytes. */
  recognises(fileName: string, head: Uint8Array): boolean;
  /** @throws FormatError where the file cannot be read as a whole */
  parse(input: AsyncIterable<Uint8Array>): AsyncGenerator<FormatItem>;
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
