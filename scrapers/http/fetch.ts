import { HubError, reasonOf } from "../../errors.ts";
import { checkUrl, type ReadPolicy } from "./read_policy.ts";
import { ownBytes } from "../../formats/own_bytes.ts";
import type { BoundedFetch, FetchInit } from "./bounded_fetch.ts";
import { createRateLimits, type Pace } from "./rate_limits.ts";
import { secretHeader } from "./secrets.ts";

export interface FetchOptions {
  allow: ReadPolicy;
  /** For the whole answer, its body included. */
  timeLimitMs?: number;
  maxBytes?: number;
  /** Tries in all. */
  attempts?: number;
  /** What hosts asked for of waiting, shared by those who ask the same hosts. */
  pace?: Pace;
  /** Waits between tries; a test gives its own. */
  sleep?(ms: number, signal: AbortSignal | undefined): Promise<void>;
  random?(): number;
}

const FIRST_DELAY_MS = 500;
const LONGEST_DELAY_MS = 60_000;
const MAX_REDIRECTS = 5;
const AGAIN = new Set([408, 425, 429, 500, 502, 503, 504]);
/** Trying again at once changes nothing of these. */
const FINAL = new Set(["BAD_REQUEST", "TOO_MANY_REQUESTS", "SERVICE_UNAVAILABLE"]);

/**
 * A fetch that reads allowed hosts only, redirects included; gives up in time; cuts no corner on size; and tries again on
 * 429, 5xx and network faults, keeping to `Retry-After` and to limits told in headers. A secret goes to the origin that
 * was asked and nowhere else. An answer that is an error still is returned.
 * @throws HubError BAD_REQUEST (not allowed), BAD_GATEWAY (no answer, too large, redirected too often), TOO_MANY_REQUESTS
 * (the host asks to wait for more than a minute), SERVICE_UNAVAILABLE (a secret without a value)
 */
export function createFetch(options: FetchOptions): BoundedFetch {
  const { attempts = 4, sleep = defaultSleep, random = Math.random, pace = createRateLimits() } = options;
  return async (address, init = {}) => {
    const { signal } = init;
    for (let attempt = 1;; attempt++) {
      const delay = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** (attempt - 1)) * (0.5 + random() / 2);
      try {
        const host = checkUrl(options.allow, address).host;
        const wait = pace.waitMs(host);
        if (wait > 0) await sleep(wait, signal);
        const response = await follow(options, address, init);
        // Which may be another, where it redirected.
        const answering = new URL(response.url).host;
        pace.learn(answering, response);
        const mayHelp = AGAIN.has(response.status) || response.status === 403;
        if (!mayHelp || attempt >= attempts && response.status !== 403) return response;
        const asked = pace.waitMs(answering);
        if (response.status === 403 && (asked === 0 || attempt >= attempts)) return response;
        await response.body?.cancel();
        // What the asked host wants is waited for above.
        if (asked === 0) await sleep(delay, signal);
        else if (answering !== host) await sleep(asked, signal);
      } catch (error) {
        if (error instanceof HubError && FINAL.has(error.code)) throw error;
        signal?.throwIfAborted();
        if (attempt >= attempts) {
          throw error instanceof HubError
            ? error
            : new HubError("BAD_GATEWAY", `${shownUrl(address)} does not answer: ${networkReason(error)}`, {
              cause: error,
            });
        }
        await sleep(delay, signal);
      }
    }
  };
}

async function follow(
  { allow, timeLimitMs = 30_000, maxBytes: most = 64 << 20 }: FetchOptions,
  address: string | URL,
  { signal, maxBytes = most, headers = {}, secret }: FetchInit,
): Promise<Response> {
  const limit = AbortSignal.timeout(timeLimitMs);
  const either = signal === undefined ? limit : AbortSignal.any([limit, signal]);
  let url = checkUrl(allow, address);
  const { origin } = url;
  const secretly = secret === undefined ? {} : await secretHeader(allow, url, secret);
  for (let hops = 0;; hops++) {
    const response = await fetch(url, {
      redirect: "manual",
      signal: either,
      headers: url.origin === origin ? { ...headers, ...secretly } : headers,
    });
    const target = response.headers.get("location");
    if (![301, 302, 303, 307, 308].includes(response.status) || target === null) {
      return bound(response, url, maxBytes);
    }
    await response.body?.cancel();
    if (hops >= MAX_REDIRECTS) {
      throw new HubError("BAD_GATEWAY", `${shownUrl(address)} redirects more than ${MAX_REDIRECTS} times.`);
    }
    if (!URL.canParse(target, url)) {
      throw new HubError("BAD_GATEWAY", `${shownUrl(address)} redirects to what is no URL.`);
    }
    url = checkUrl(allow, new URL(target, url));
  }
}

/** An answer that is larger than was asked for; asking again changes nothing. */
export class AnswerTooLarge extends HubError {
  constructor(message: string) {
    super("BAD_GATEWAY", message);
  }
}

/** An address without its query, which may be long, and hold a signature. */
export function shownUrl(address: string | URL): string {
  return String(address).split(/[?#]/, 1)[0]!;
}

/** Why there was no answer, without what Deno says around it: that holds the whole address. */
function networkReason(error: unknown): string {
  const texts = [reasonOf(error), reasonOf((error as { cause?: unknown }).cause)].join(" ");
  const [, reason] = [
    [/refused/i, "the connection is refused"],
    [/dns|lookup|resolve|name or service/i, "its name is not known"],
    [/certificate|\btls\b|\bssl\b|handshake/i, "no safe connection can be made (TLS)"],
    [/unreachable|no route/i, "it cannot be reached"],
    [/timed? ?out/i, "it takes too long"],
    [/reset|closed|broken pipe|eof/i, "the connection broke off"],
  ].find(([pattern]) => (pattern as RegExp).test(texts)) ?? [];
  return (reason as string | undefined) ?? reasonOf(error).replace(/(?<!\S)\S*:\/\/\S*/g, "…");
}

function bound(response: Response, url: URL, maxBytes: number): Response {
  let bytes = 0;
  const body = response.body?.pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, controller) {
        bytes += chunk.byteLength;
        if (bytes > maxBytes) {
          const reason = `${shownUrl(url)} sent more than ${maxBytes} bytes.`;
          controller.error(new AnswerTooLarge(reason));
        } else controller.enqueue(ownBytes(chunk));
      },
    }),
  );
  const bounded = new Response(response.status === 204 || response.status === 304 ? null : body ?? null, {
    status: response.status,
    headers: response.headers,
  });
  Object.defineProperty(bounded, "url", { value: url.href });
  return bounded;
}

function defaultSleep(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, ms);
    function stop() {
      clearTimeout(timer);
      reject(signal!.reason);
    }
    signal?.addEventListener("abort", stop, { once: true });
  });
}
