import { setImmediate } from "node:timers/promises";
import type { PendingQuery, Row } from "postgres";
import { isConnectionLost } from "./connection_errors.ts";
import { turns } from "../../turns.ts";
import type { Queryable } from "./queryable.ts";

/** Escapes a value for a line of `copy … from stdin` in text format. Null is written as `\N`. */
export function copyValue(value: string): string {
  // Few values need escaping, and testing is cheaper than replacing.
  return /[\\\n\r\t]/.test(value) ? value.replace(/[\\\n\r\t]/g, (char) => ESCAPES[char]!) : value;
}

/** Undoes `copyValue`. */
export function uncopied(value: string): string {
  return value.includes("\\") ? value.replace(/\\([\\nrt])/g, (_all, char) => UNESCAPES[char]!) : value;
}

const UNESCAPES: Record<string, string> = { "\\": "\\", n: "\n", r: "\r", t: "\t" };
const ESCAPES: Record<string, string> = { "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/** A `copy … from stdin` query that has not been sent. */
type Copy = Pick<PendingQuery<Row[]>, "writable">;

/**
 * Sends lines to `copy`, and waits until the server has accepted them all. `onSending` is called once all lines are sent.
 *
 * If the server rejects rows after the end of the data was sent, the driver's stream never finishes: the driver passes
 * the error to the query, which its stream has already resolved. The next statement then fails with 25P02, "current
 * transaction is aborted".
 * @throws the server's error, or what `lines` throws
 */
export async function copyInto(
  tx: Queryable,
  copy: Copy,
  lines: string | Iterable<Uint8Array | string>,
  onSending: () => void = () => {},
): Promise<void> {
  let refusal: unknown;
  let fault: { error: unknown } | undefined;
  const into = await copy.writable();
  into.on("error", (error) => refusal ??= error);
  Object.assign(copy, { reject: (error: unknown) => refusal ??= error });
  try {
    for (const chunk of typeof lines === "string" ? [lines] : lines) {
      await new Promise<void>((resolve) => {
        into.once("close", resolve);
        into.write(chunk, () => {
          into.off("close", resolve);
          resolve();
        });
        onSending();
      });
      if (refusal !== undefined) break;
      await turns.take();
    }
    if (refusal === undefined) into.end();
  } catch (error) {
    // Otherwise the server waits for the remaining rows without end.
    fault = { error };
    into.destroy(new Error("the remaining rows could not be produced"));
  }
  // Sending on a lost connection would end the process.
  if (isConnectionLost(refusal)) throw refusal;
  for (let tries = 0;; tries++) {
    await setImmediate();
    try {
      await tx`select 1`;
      if (fault !== undefined) throw fault.error;
      return;
    } catch (error) {
      // The driver sends the end of the data one tick after `end()`.
      const isSending = (error as { code?: unknown }).code === "COPY_IN_PROGRESS" && tries < 100;
      if (!isSending) throw fault === undefined ? refusal ?? error : fault.error;
    }
  }
}
