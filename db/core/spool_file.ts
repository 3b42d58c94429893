import { HubError } from "../../errors.ts";

/** Number of bytes that a push writes at once. */
const WRITTEN_AT_ONCE = 1 << 20;

/** Opens an unlinked temporary file in the folder: it disappears with the process, even after a crash. */
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

/**
 * Returns the error why the folder is not writable, or undefined. It writes as many bytes as a push writes at once, to a
 * file that it then removes.
 */
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

/** Converts a write error of the spool to INSUFFICIENT_STORAGE or SERVICE_UNAVAILABLE. */
export function spoolFault(cause: unknown): HubError {
  return FULL.includes(String((cause as { code?: unknown }).code))
    ? new HubError(
      "INSUFFICIENT_STORAGE",
      "The disk of the push folder (SPOOL_DIR) is full. Free disk space, then retry.",
      { cause, retryAfter: 30 },
    )
    : new HubError(
      "SERVICE_UNAVAILABLE",
      "The push folder (SPOOL_DIR) is not writable; the hub's log shows the reason. Retry in 30 s.",
      { cause, retryAfter: 30 },
    );
}
