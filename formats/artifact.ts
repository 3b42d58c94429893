import { HubError, reasonOf } from "../errors.ts";
import type { ResultRecord } from "../schemas/record.ts";
import type { ResultFormat } from "./format.ts";
import { type FileItems, readResults } from "./mod.ts";
import { sliced } from "./slices.ts";

/** Largest result file read from another system, in bytes. */
export const MAX_ARTIFACT = 256 << 20;
/** Most results of one run read from another system. */
export const MAX_RESULTS = 200_000;

const RESULTS = new Set(["xml", "sum", "json", "ndjson", "jsonl", "tap", "csv", "zip", "tar", "tgz"]);
const PACKED = /\.(?:gz|zst)$/i;

/**
 * Selects by name a job's files that may contain results: `named` are result files, `logs` are the fallback if no result file
 * can be read. The format is detected later, from the content.
 */
export function resultFiles<F extends { name: string }>(files: readonly F[]): { named: F[]; logs: F[] } {
  const named: F[] = [];
  const logs: F[] = [];
  for (const file of files) {
    const name = file.name.replace(PACKED, "").toLowerCase();
    const ending = name.slice(name.lastIndexOf(".") + 1);
    if (RESULTS.has(ending) || name === "subtests.txt" || name.endsWith("/subtests.txt")) named.push(file);
    else if (ending === "log") logs.push(file);
  }
  return { named, logs };
}

export interface ArtifactResults {
  results: ResultRecord[];
  /** Records that are not valid results, with their places. */
  rejected: { place: string; reason: string }[];
  /** Unreadable files of a container that has readable ones too. */
  faults: { file: string; reason: string }[];
  startedAt: string | undefined;
}

/**
 * Reads the results in a file of any known format, or in a container of such files. An unreadable file in a container does not
 * affect the others. `format` skips the detection.
 * @throws HubError UNSUPPORTED_MEDIA_TYPE for an unknown format, BAD_REQUEST for an unreadable file, PAYLOAD_TOO_LARGE for
 * more than `MAX_RESULTS` results; whatever `body` throws
 */
export async function readArtifact(
  name: string,
  body: AsyncIterable<Uint8Array>,
  { format }: { format?: ResultFormat | undefined } = {},
): Promise<ArtifactResults> {
  const read: ArtifactResults = { results: [], rejected: [], faults: [], startedAt: undefined };
  let mark = { results: 0, rejected: 0 };
  for await (const { file, items, begins, fault } of filesOf(name, body, format)) {
    if (begins) mark = { results: read.results.length, rejected: read.rejected.length };
    if (fault !== undefined) {
      read.results.length = mark.results;
      read.rejected.length = mark.rejected;
      read.faults.push({ file, reason: reasonOf(fault) });
    }
    for (const item of items) {
      if (item.kind === "result") read.results.push(item.record);
      else if (item.kind === "meta" && item.key === "startedAt") read.startedAt ??= item.value;
      else if (item.kind === "rejected" && read.rejected.length < MAX_RESULTS) {
        read.rejected.push({ place: `${file} ${item.place}`, reason: `is a record that ${item.reason}` });
      }
    }
    if (read.results.length > MAX_RESULTS) {
      throw new HubError("PAYLOAD_TOO_LARGE", `has more than ${MAX_RESULTS} results`);
    }
  }
  return read;
}

async function* filesOf(
  name: string,
  body: AsyncIterable<Uint8Array>,
  format: ResultFormat | undefined,
): AsyncGenerator<FileItems> {
  if (format === undefined) yield* readResults(name, body, { keepsGood: true });
  else for await (const items of format.parse(sliced(body))) yield { file: name, items };
}
