import { HubError } from "../../errors.ts";

/** Bytes that a push writes at once. */
const WRITTEN_AT_ONCE = 1 << 20;

/** A file in the folder that has no name and is gone with the process whatever happens to it. */
export function openSpoolFile(folder: string): Deno.FsFile {
  Deno.mkdirSync(folder, { recursive: true });
  const path = Deno.makeTempFileSync({ dir: folder, prefix: "spool-" });
  const file = Deno.openSync(path, { read: true, write: true });
  Deno.removeSync(path);
  return file;
}

export function writeAll(file: Deno.FsFile, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length;) at += file.writeSync(bytes.subarray(at));
}

/** Why nothing can be written in the folder now; undefined if it can. Writes as much as a push writes at once, and removes it. */
export function findSpoolFault(folder: string, open = openSpoolFile): HubError | undefined {
  let file: Deno.FsFile | undefined;
  try {
    file = open(folder);
    writeAll(file, new Uint8Array(WRITTEN_AT_ONCE));
    return undefined;
  } catch (error) {
    return spoolFault(error);
  } finally {
    file?.close();
  }
}

const FULL = ["ENOSPC", "EDQUOT"];

/** What a fault of the spool is to a client: INSUFFICIENT_STORAGE or SERVICE_UNAVAILABLE. */
export function spoolFault(cause: unknown): HubError {
  return FULL.includes(String((cause as { code?: unknown }).code))
    ? new HubError(
      "INSUFFICIENT_STORAGE",
      "The disk of the folder for pushes (SPOOL_DIR) is full; free space on it, then retry.",
      { cause, retryAfter: 30 },
    )
    : new HubError(
      "SERVICE_UNAVAILABLE",
      "The folder for pushes (SPOOL_DIR) cannot be written; its reason is in the hub's log. Retry in 30 s.",
      { cause, retryAfter: 30 },
    );
}
