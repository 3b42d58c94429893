import { isListening } from "./listening.ts";
import type { StopSignal } from "./stop_signal.ts";

/** A hub drains within 10 s; a machine under load may take longer. */
const LIMIT_MS = 30_000;
const AGAIN_MS = 100;

/**
 * Waits until a hub at `url` that is draining has ended, as one whose start was killed. Returns whether nothing listens there
 * now; at once if something else than a draining hub does.
 */
export async function waitForPredecessor(
  url: string,
  stop: Pick<StopSignal, "isRequested">,
): Promise<boolean> {
  let isPrinted = false;
  for (const end = performance.now() + LIMIT_MS; performance.now() < end && !stop.isRequested;) {
    const state = await findState(url);
    if (state === "gone") return true;
    // One that drains may be too busy to answer.
    if (state === "other" || state === "silent" && !isPrinted) return false;
    if (!isPrinted) console.log(`Waiting for the hub at ${url}, which is draining, to end.`);
    isPrinted = true;
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
  }
  return false;
}

async function findState(url: string): Promise<"gone" | "draining" | "silent" | "other"> {
  try {
    const answer = await fetch(`${url}/api/health/live`, { signal: AbortSignal.timeout(2_000) });
    const body = await answer.text();
    // See run/drain.ts: of a hub that works this route is a 200, whatever the state of its parts.
    return answer.status === 503 && body.includes('"code":"SERVICE_UNAVAILABLE"') ? "draining" : "other";
  } catch (error) {
    // Something may listen that breaks every request off.
    return (error as Error).name !== "TimeoutError" && !await isListening(url) ? "gone" : "silent";
  }
}
