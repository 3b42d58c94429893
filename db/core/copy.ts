import { setImmediate } from "node:timers/promises";
import type { PendingQuery, Row } from "postgres";
import { isConnectionLost } from "./connection_errors.ts";
import { turns } from "../../turns.ts";
import type { Queryable } from "./queryable.ts";

/** One value in a line of `copy … from stdin`, text format; null is `\N`. */
export function copyValue(value: string): string {
  // Few values need it: asking costs less than replacing.
  return /[\\\n\r\t]/.test(value) ? value.replace(/[\\\n\r\t]/g, (char) => ESCAPES[char]!) : value;
}

/** What `copyValue` was made of. */
export function uncopied(value: string): string {
  return value.includes("\\") ? value.replace(/\\([\\nrt])/g, (_all, char) => UNESCAPES[char]!) : value;
}

const UNESCAPES: Record<string, string> = { "\\": "\\", n: "\n", r: "\r", t: "\t" };
const ESCAPES: Record<string, string> = { "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/** A `copy … from stdin` that has not been sent. */
type Copy = Pick<PendingQuery<Row[]>, "writable">;

/**
 * Sends lines to `copy`, and waits until the server has taken them all.
 *
 * If the server refuses the rows after their end was sent, the driver's stream never finishes, and the next statement fails
 * with 25P02, "current transaction is aborted". The driver gives the reason to the query, which was answered by its stream.
 * `onSending` is called once nothing is left to do but to wait.
 * @throws the server's error; what `lines` throws
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
      // The next is made in its turn.
      await turns.take();
    }
    if (refusal === undefined) into.end();
  } catch (error) {
    // The server must hear of it, or it waits for the rest for ever.
    fault = { error };
    into.destroy(new Error("the rest of the rows cannot be made"));
  }
  // Nothing more may be sent on a connection that is lost.
  if (isConnectionLost(refusal)) throw refusal;
  for (let tries = 0;; tries++) {
    await setImmediate();
    try {
      await tx`select 1`;
      if (fault !== undefined) throw fault.error;
      return;
    } catch (error) {
      // The end is sent a tick after it was asked for.
      const isSending = (error as { code?: unknown }).code === "COPY_IN_PROGRESS" && tries < 100;
      if (!isSending) throw fault === undefined ? refusal ?? error : fault.error;
    }
  }
}
