import type { FormatItem } from "../../formats/format.ts";
import { readResults, type UnpackLimits } from "../../formats/mod.ts";
import type { Counts } from "../../schemas/outcome.ts";
import type { ResultRecord } from "../../schemas/record.ts";

export interface ReadBack {
  records: ResultRecord[];
  counts: Counts;
  missing: string[];
  samples: number;
  rejected: string[];
  notes: string[];
  meta: Record<string, string>;
  files: string[];
}

export function bytesOf(input: string | Uint8Array): Uint8Array {
  return typeof input === "string" ? new TextEncoder().encode(input) : input;
}

export async function* chunksOf(input: string | Uint8Array, size = 65_536): AsyncGenerator<Uint8Array> {
  const bytes = bytesOf(input);
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

/** Reads an input as a push does, and summarises it. */
export async function readBack(
  input: string | Uint8Array,
  options: { name?: string; size?: number } & UnpackLimits = {},
): Promise<ReadBack> {
  const { name = "", size, ...limits } = options;
  const read: ReadBack = {
    records: [],
    counts: {},
    missing: [],
    samples: 0,
    rejected: [],
    notes: [],
    meta: {},
    files: [],
  };
  for await (const { file, items } of readResults(name, chunksOf(input, size), limits)) {
    if (!read.files.includes(file)) read.files.push(file);
    for (const item of items) take(read, item);
  }
  return read;
}

function take(read: ReadBack, item: FormatItem): void {
  if (item.kind === "rejected") read.rejected.push(`${item.place} ${item.reason}`);
  else if (item.kind === "note") read.notes.push(`${item.place}: ${item.text}`);
  else if (item.kind === "meta") read.meta[item.key] ??= item.value;
  else if (item.isMissing) read.missing.push(item.record.case);
  else {
    read.records.push(item.record);
    read.counts[item.record.outcome] = (read.counts[item.record.outcome] ?? 0) + 1;
    read.samples += item.record.samples?.length ?? 0;
  }
}
