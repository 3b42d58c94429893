import { HubError, reasonOf } from "../../errors.ts";
import { type Labelled, labelled } from "../../schemas/axis.ts";
import { checkPath, checkUrl, type ReadPolicy } from "./read_policy.ts";
import type { BoundedFetch } from "./bounded_fetch.ts";
import { readLines } from "../../formats/lines.ts";
import { ownBytes } from "../../formats/own_bytes.ts";

/** Largest list in bytes: 1.5 million commits. */
export const MAX_LIST = 64 << 20;

/**
 * Reads the labelled changelists of a list: one label a line, numbered from `first`, or lines of `<number> <label>`. Empty
 * lines and lines that begin with `#` are skipped.
 * @throws HubError BAD_REQUEST that quotes the invalid line
 */
export async function* readLabelList(
  input: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  { first = 1 }: { first?: number } = {},
): AsyncGenerator<Labelled[]> {
  let next = first;
  for await (const lines of readLines(input)) {
    const batch: Labelled[] = [];
    for (const { text, number: line } of lines) {
      const words = text.trim().split(/\s+/);
      if (words[0] === "" || text.startsWith("#")) continue;
      const [number, label] = words.length === 1 ? [next++, words[0]] : [Number(words[0]), words[1]];
      const one = labelled.safeParse({ number, label });
      if (!one.success || words.length > 2) {
        throw new HubError(
          "BAD_REQUEST",
          `Line ${line} of the list must be a label, or a number and a label; got ${
            JSON.stringify(text.slice(0, 100))
          }.`,
        );
      }
      batch.push(one.data);
    }
    if (batch.length > 0) yield batch;
  }
}

/** @throws HubError BAD_REQUEST when the hub may not read that URL */
export async function checkListUrl(allow: ReadPolicy, url: string): Promise<void> {
  if (url.startsWith("file:")) await checkPath(allow, decodeURIComponent(new URL(url).pathname));
  else checkUrl(allow, url);
}

/** Fetches a whole list, so that a broken transfer changes nothing. @throws HubError */
export async function fetchLabelList(
  url: string,
  { allow, fetch, signal }: { allow: ReadPolicy; fetch: BoundedFetch; signal: AbortSignal },
): Promise<Uint8Array[]> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of await open()) {
    signal.throwIfAborted();
    size += chunk.byteLength;
    if (size > MAX_LIST) throw new HubError("BAD_GATEWAY", `${url} is larger than ${MAX_LIST} bytes.`);
    chunks.push(ownBytes(chunk));
  }
  return chunks;

  async function open(): Promise<AsyncIterable<Uint8Array>> {
    if (url.startsWith("file:")) {
      const path = await checkPath(allow, decodeURIComponent(new URL(url).pathname));
      const file = await Deno.open(path).catch((error) => {
        throw new HubError("BAD_GATEWAY", `${path} cannot be read: ${reasonOf(error)}`);
      });
      return file.readable;
    }
    const response = await fetch(url, { signal, maxBytes: MAX_LIST });
    if (response.ok && response.body !== null) return response.body;
    await response.body?.cancel();
    throw new HubError("BAD_GATEWAY", `${url} answered ${response.status}.`);
  }
}
