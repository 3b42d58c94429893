import { HubError, reasonOf } from "../../errors.ts";
import type { BoundedFetch } from "../http/bounded_fetch.ts";
import { ResponseTooLarge } from "../http/fetch.ts";
import { Gate } from "./gate.ts";

/** Consecutive failed requests after which the root itself is probed. */
const MAX_FAILURES = 8;
/** Milliseconds without a response after which it is probed too, for a server that hangs. */
const MAX_SILENCE_MS = 60_000;

/** The server of a root is down, so the rest of the root cannot be read now. */
export class RootDown extends HubError {
  constructor(message: string) {
    super("BAD_GATEWAY", message);
  }
}

/**
 * Creates the fetch of one drop root. It adapts its concurrency to the server, and sends no requests once the server is down:
 * when consecutive requests fail (no response, or 5xx) and so does `probe`, the root's own address. Broken packages alone do
 * not count as a server that is down.
 * @throws RootDown besides what `fetch` throws
 */
export function rootFetch(
  fetch: BoundedFetch,
  { probe, now = Date.now }: { probe: string; now?: () => number },
): BoundedFetch {
  const gate = new Gate(now);
  let failures = 0;
  let answeredAt = now();
  let probing: Promise<void> | undefined;
  let down: RootDown | undefined;
  const isAnswer = (response: Response) => response.status < 500;
  const ask: BoundedFetch = (url, init = {}) =>
    gate.run(() => down === undefined ? fetch(url, init) : Promise.reject(down), {
      signal: init.signal,
      isGood: isAnswer,
    });

  function answered(): void {
    failures = 0;
    answeredAt = now();
  }

  /** Counts a failure, and probes the root after too many. @throws RootDown */
  async function failed(signal: AbortSignal | undefined): Promise<void> {
    failures++;
    const isSilent = failures > 1 && now() - answeredAt > MAX_SILENCE_MS;
    if (failures < MAX_FAILURES && !isSilent) return;
    probing ??= check(signal).finally(() => {
      probing = undefined;
    });
    await probing;
    if (down !== undefined) throw down;
  }

  async function check(signal: AbortSignal | undefined): Promise<void> {
    let reason: string;
    try {
      const response = await fetch(probe, { signal });
      await response.body?.cancel();
      if (isAnswer(response)) return answered();
      reason = `status ${response.status}`;
    } catch (error) {
      signal?.throwIfAborted();
      reason = reasonOf(error);
    }
    down = new RootDown(
      `The root is down: ${failures} consecutive requests failed, and so did its own listing: ${reason}`,
    );
  }

  return async (url, init = {}) => {
    if (down !== undefined) throw down;
    let response: Response;
    try {
      response = await ask(url, init);
    } catch (error) {
      init.signal?.throwIfAborted();
      const isServerFault = error instanceof HubError && error.code === "BAD_GATEWAY" &&
        !(error instanceof ResponseTooLarge) && !(error instanceof RootDown);
      if (isServerFault) await failed(init.signal);
      throw error;
    }
    if (isAnswer(response)) answered();
    else await failed(init.signal);
    return response;
  };
}
