import { HubError } from "../errors.ts";
import { turns } from "../turns.ts";
import { csv } from "./csv.ts";
import { ctest } from "./ctest.ts";
import { dejagnu } from "./dejagnu.ts";
import { dejagnuXml } from "./dejagnu_xml.ts";
import { FormatError, type FormatItem, HEAD_BYTES, type ResultFormat } from "./format.ts";
import { gbench } from "./gbench.ts";
import { gtest } from "./gtest.ts";
import { splitHead } from "./head.ts";
import { junit } from "./junit.ts";
import { lit } from "./lit.ts";
import { litLog } from "./lit_log.ts";
import { lnt } from "./lnt.ts";
import { mocha } from "./mocha.ts";
import { ndjson } from "./ndjson.ts";
import { sliced } from "./slices.ts";
import { subtests } from "./subtests.ts";
import { tap } from "./tap.ts";
import { openFiles } from "./unpack.ts";
import { ContainerError, type UnpackLimits } from "./unpack_meter.ts";

export {
  FormatError,
  type FormatItem,
  HEAD_BYTES,
  openFiles,
  type ResultFormat,
  splitHead,
  type UnpackLimits,
};

/** All formats, in the order of detection. Add a new format here. */
export const formats: readonly ResultFormat[] = [
  subtests,
  dejagnuXml,
  junit,
  ctest,
  ndjson,
  gtest,
  gbench,
  mocha,
  lit,
  lnt,
  csv,
  litLog,
  dejagnu,
  tap,
];

function findFormat(fileName: string, head: Uint8Array): ResultFormat | undefined {
  const name = fileName.split(/[\\/]/).at(-1)!;
  return formats.find((format) => format.recognises(name, head));
}

/** Detects a file's format by its name and first bytes. @throws HubError UNSUPPORTED_MEDIA_TYPE that lists the known formats */
export function detectFormat(fileName: string, head: Uint8Array): ResultFormat {
  const format = findFormat(fileName, head);
  if (format !== undefined) return format;
  throw new HubError(
    "UNSUPPORTED_MEDIA_TYPE",
    `${fileName === "" ? "The file" : JSON.stringify(fileName.slice(-100))} is ${
      head.length === 0 ? "empty" : "of an unknown format"
    }; use one of ${formats.map((one) => one.summary).join(", ")}.`,
  );
}

/** Some items of a file; `file` is its name with its containers. */
export interface FileItems {
  file: string;
  items: FormatItem[];
  /** Set on the first items of a file in a container, with `keepsGood`. */
  begins?: true;
  /** Why the file cannot be read; discard its earlier items. */
  fault?: FormatError;
}

export interface ReadOptions extends UnpackLimits {
  /** Whether an unreadable file in a container yields only its fault, so that the others count. If all are unreadable, it throws. */
  keepsGood?: boolean;
}

/**
 * Reads an input of any known format, or a container of such files. A file of an unknown format in a container is skipped with a
 * note. @throws HubError when the input or a file in it is unreadable, or all formats are unknown
 */
export async function* readResults(
  name: string,
  input: AsyncIterable<Uint8Array>,
  { keepsGood = false, ...limits }: ReadOptions = {},
): AsyncGenerator<FileItems> {
  const faults: HubError[] = [];
  let known = 0;
  let unknown = 0;
  for await (const { name: file, head, content, isInside } of openFiles(name, input, limits)) {
    // Only a container may contain files other than results.
    const format = isInside ? findFormat(file, head) : detectFormat(file, head);
    if (format === undefined || isInside && head.length === 0) {
      unknown++;
      const text = `it is ${head.length === 0 ? "empty" : "of an unknown format"}, and was skipped`;
      yield { file, items: [{ kind: "note", place: "the file", text }] };
      continue;
    }
    known++;
    if (keepsGood && isInside) yield { file, items: [], begins: true };
    try {
      for await (const items of format.parse(sliced(content))) {
        if (items.length === 0) continue;
        // A few bytes may expand to very many cases.
        await turns.take();
        yield { file, items };
      }
    } catch (error) {
      if (!isInside || !(error instanceof FormatError) || error instanceof ContainerError) throw error;
      const named = `${JSON.stringify(file.slice(-200))}: ${error.message}`;
      faults.push(new HubError("BAD_REQUEST", named, { cause: error }));
      if (!keepsGood) throw faults[0];
      yield { file, items: [], fault: error };
    }
  }
  if (known > 0 && faults.length === known) throw faults[0];
  if (known === 0) {
    throw new HubError(
      "UNSUPPORTED_MEDIA_TYPE",
      `${
        JSON.stringify(name.slice(-100))
      } contains no file of a known format (${unknown} of unknown formats).`,
    );
  }
}
