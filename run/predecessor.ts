import { isListening } from "./listening.ts";
import type { StopSignal } from "./stop_signal.ts";

/** A hub drains within 10 s, but may take longer on a machine under load. */
const LIMIT_MS = 30_000;
const POLL_MS = 100;

/**
 * Waits until a draining hub at `url` has ended, for example one whose starting program was killed. Returns whether nothing
 * listens there any more. Does not wait for anything but a draining hub.
 */
export async function waitForPredecessor(
  url: string,
  stop: Pick<StopSignal, "isRequested">,
): Promise<boolean> {
  let isPrinted = false;
  for (const end = performance.now() + LIMIT_MS; performance.now() < end && !stop.isRequested;) {
    const state = await findState(url);
    if (state === "gone") return true;
    // A draining hub may be too busy to answer.
    if (state === "other" || state === "silent" && !isPrinted) return false;
    if (!isPrinted) console.log(`Waiting for the hub at ${url}, which is draining, to end.`);
    isPrinted = true;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  return false;
}

async function findState(url: string): Promise<"gone" | "draining" | "silent" | "other"> {
  try {
    const answer = await fetch(`${url}/api/health/live`, { signal: AbortSignal.timeout(2_000) });
    const body = await answer.text();
    // A working hub answers 200 here, whatever the state of its parts; for the 503 see run/drain.ts.
    return answer.status === 503 && body.includes('"code":"SERVICE_UNAVAILABLE"') ? "draining" : "other";
  } catch (error) {
    // The listener may abort every request.
    return (error as Error).name !== "TimeoutError" && !await isListening(url) ? "gone" : "silent";
  }
}
