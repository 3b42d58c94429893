import { HubError, reasonOf } from "../../errors.ts";
import { checkUrl, type ReadPolicy } from "./read_policy.ts";
import { ownBytes } from "../../formats/own_bytes.ts";
import type { BoundedFetch, FetchInit } from "./bounded_fetch.ts";
import { createRateLimits, type RateLimits } from "./rate_limits.ts";
import { secretHeader } from "./secrets.ts";

export interface FetchOptions {
  allow: ReadPolicy;
  /** Limit for the whole response, body included. */
  timeLimitMs?: number;
  maxBytes?: number;
  /** Attempts in total. */
  attempts?: number;
  /** Known rate limits; share one among all callers of the same hosts. */
  pace?: RateLimits;
  /** Waits between attempts; tests replace it. */
  sleep?(ms: number, signal: AbortSignal | undefined): Promise<void>;
  random?(): number;
}

const FIRST_DELAY_MS = 500;
const LONGEST_DELAY_MS = 60_000;
const MAX_REDIRECTS = 5;
const RETRIED = new Set([408, 425, 429, 500, 502, 503, 504]);
/** Errors that an immediate retry cannot fix. */
const FINAL = new Set(["BAD_REQUEST", "TOO_MANY_REQUESTS", "SERVICE_UNAVAILABLE"]);

/**
 * Creates a fetch that reads only allowed hosts, redirects included, and limits time and size. It retries 408, 425, 429, 5xx
 * and network faults, and obeys `Retry-After` and rate-limit headers. A secret is sent only to the requested origin, never to
 * another after a redirect. After the last attempt, an error response is returned, not thrown.
 * @throws HubError BAD_REQUEST (not allowed), BAD_GATEWAY (no response, too large, too many redirects), TOO_MANY_REQUESTS
 * (the host demands a wait of more than a minute), SERVICE_UNAVAILABLE (a secret without a value)
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
        // A redirect may have led to another host.
        const answering = new URL(response.url).host;
        pace.learn(answering, response);
        const mayHelp = RETRIED.has(response.status) || response.status === 403;
        if (!mayHelp || attempt >= attempts && response.status !== 403) return response;
        const asked = pace.waitMs(answering);
        if (response.status === 403 && (asked === 0 || attempt >= attempts)) return response;
        await response.body?.cancel();
        // The next iteration waits for the requested host's own limit.
        if (asked === 0) await sleep(delay, signal);
        else if (answering !== host) await sleep(asked, signal);
      } catch (error) {
        if (error instanceof HubError && FINAL.has(error.code)) throw error;
        signal?.throwIfAborted();
        if (attempt >= attempts) {
          throw error instanceof HubError
            ? error
            : new HubError("BAD_GATEWAY", `No response from ${shownUrl(address)}: ${networkReason(error)}`, {
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
  const secretHeaders = secret === undefined ? {} : await secretHeader(allow, url, secret);
  for (let hops = 0;; hops++) {
    const response = await fetch(url, {
      redirect: "manual",
      signal: either,
      headers: url.origin === origin ? { ...headers, ...secretHeaders } : headers,
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
      throw new HubError("BAD_GATEWAY", `${shownUrl(address)} redirects to an invalid URL.`);
    }
    url = checkUrl(allow, new URL(target, url));
  }
}

/** A response larger than the limit; a retry would not help. */
export class ResponseTooLarge extends HubError {
  constructor(message: string) {
    super("BAD_GATEWAY", message);
  }
}

/** The address without its query, which may be long or contain a signature. */
export function shownUrl(address: string | URL): string {
  return String(address).split(/[?#]/, 1)[0]!;
}

/** The reason of a network error, without Deno's own text, which contains the whole address. */
function networkReason(error: unknown): string {
  const texts = [reasonOf(error), reasonOf((error as { cause?: unknown }).cause)].join(" ");
  const [, reason] = [
    [/refused/i, "connection refused"],
    [/dns|lookup|resolve|name or service/i, "host name not found"],
    [/certificate|\btls\b|\bssl\b|handshake/i, "TLS handshake failed"],
    [/unreachable|no route/i, "host unreachable"],
    [/timed? ?out/i, "timed out"],
    [/reset|closed|broken pipe|eof/i, "connection lost"],
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
          controller.error(new ResponseTooLarge(reason));
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
