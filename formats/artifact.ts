import { HubError, reasonOf } from "../errors.ts";
import type { ResultRecord } from "../schemas/record.ts";
import type { ResultFormat } from "./format.ts";
import { type FileItems, readResults } from "./mod.ts";
import { sliced } from "./slices.ts";

/** Bytes of one result file that are read of another system. */
export const MAX_ARTIFACT = 256 << 20;
/** Results of one run that are read of another system. */
export const MAX_RESULTS = 200_000;

const RESULTS = new Set(["xml", "sum", "json", "ndjson", "jsonl", "tap", "csv", "zip", "tar", "tgz"]);
const PACKED = /\.(?:gz|zst)$/i;

/**
 * Which of a job's files may hold its results, by their names: those that say so, and, in turn where none of them does,
 * logs. What they are is told by their content.
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
  /** Records that are no results, by where they are. */
  rejected: { place: string; reason: string }[];
  /** Files of a container that cannot be read, where others can. */
  faults: { file: string; reason: string }[];
  startedAt: string | undefined;
}

/**
 * The results in a file of any known format, or in a container of such files, of which those that cannot be read do not cost
 * the others. `format`: where it is known.
 * @throws HubError UNSUPPORTED_MEDIA_TYPE where it is of no known format, BAD_REQUEST where it cannot be read,
 * PAYLOAD_TOO_LARGE where it has too many results; whatever `body` throws
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
