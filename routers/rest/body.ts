import { HubError, reasonOf } from "../../errors.ts";
import { parseInSlices } from "../../formats/json_slices.ts";
import { ownBytes } from "../../formats/own_bytes.ts";
import { turns } from "../../turns.ts";
import type { Context } from "../context.ts";
import { withTimeout } from "../deadline.ts";

const MAX_DEPTH = 64;

/** Maximum body of a route open to anonymous callers, such as sign-in, in bytes. */
export const OPEN_LIMIT = 16 << 10;
/** Minimum rate of a body after BODY_TIMEOUT, in bytes per ms. */
const SLOWEST = 1024 / 1000;

export interface BodyOptions {
  /** Bytes. */
  limit: number;
  /** Maximum bytes of the body in memory at a time (default: all). */
  kept?: number;
}

/** Returns the declared length, if any. @throws HubError PAYLOAD_TOO_LARGE if it exceeds the limit */
export function checkLength({ headers }: Request, limit: number): number | undefined {
  const declared = headers.get("content-length");
  if (declared === null) return undefined;
  if (Number(declared) > limit) throw tooLarge(limit);
  return Number(declared);
}

/**
 * Yields the bytes of a body as they arrive, within its size limit, the memory shared by all bodies, and its time limit. Its
 * memory is released when the request has been answered. Call `requireRole` first.
 * @throws HubError PAYLOAD_TOO_LARGE, SERVICE_UNAVAILABLE, TIMEOUT, CLIENT_CLOSED_REQUEST, BAD_REQUEST
 */
export async function* readBody(
  request: Request,
  hub: Context,
  { limit, kept = limit }: BodyOptions,
): AsyncGenerator<Uint8Array> {
  const declared = checkLength(request, limit);
  if (request.body === null) return;
  await takeRoom(hub, Math.min(declared ?? 0, kept));
  const reader = request.body.getReader();
  const timeoutMs = hub.config.bodyTimeoutMs;
  let size = 0;
  let waitedMs = 0;
  const late = () => new HubError("TIMEOUT", slowness(size, declared, timeoutMs));
  try {
    while (true) {
      const began = performance.now();
      // Counts only time spent waiting for the client, not time spent on processing the bytes.
      const leftMs = timeoutMs + size / SLOWEST - waitedMs;
      const { done, value } = await withTimeout(reader.read(), Math.min(timeoutMs, leftMs), late)
        .catch((error) => Promise.reject(toBodyError(error, request)));
      waitedMs += performance.now() - began;
      if (done) return;
      size += value.byteLength;
      if (size > limit) throw tooLarge(limit);
      const missing = Math.min(size, kept) - hub.roomTaken;
      if (missing > 0) await takeRoom(hub, missing);
      // Buffered chunks resolve at once, so without a pause other requests would not be read.
      if (size > value.byteLength && turns.isOver) await turns.take();
      if (value.byteLength > 0) yield ownBytes(value);
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

async function takeRoom(hub: Context, bytes: number): Promise<void> {
  await hub.room.take(bytes);
  hub.roomTaken += bytes;
}

function slowness(size: number, declared: number | undefined, timeoutMs: number): string {
  return `The body arrived too slowly: ${size} of ${
    declared ?? "an unstated number of"
  } bytes; it may pause for ${
    timeoutMs / 1000
  } s (BODY_TIMEOUT), and must then average 1 KiB/s. Send it again over a faster connection.`;
}

/** Attributes every early end of a body to the client: it hung up, or sent malformed HTTP. */
function toBodyError(error: unknown, { signal }: Request): HubError {
  if (error instanceof HubError) return error;
  if (signal.aborted || error instanceof Deno.errors.BadResource) {
    return new HubError("CLIENT_CLOSED_REQUEST", "The client hung up before its body was complete.", {
      cause: error,
    });
  }
  return new HubError(
    "BAD_REQUEST",
    `The body is incomplete or malformed HTTP: ${reasonOf(error).slice(0, 200)}. Send it again.`,
    { cause: error },
  );
}

function tooLarge(limit: number): HubError {
  return new HubError(
    "PAYLOAD_TOO_LARGE",
    `The body exceeds this route's limit of ${limit} bytes (JSON_LIMIT; for pushes UPLOAD_LIMIT, in JSON PUSH_JSON_LIMIT).`,
  );
}

/** A body as text, decoded as it arrives, so that it is in memory once. @throws HubError BAD_REQUEST if it is not UTF-8 */
export async function readText(chunks: AsyncIterable<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  const decode = (chunk?: Uint8Array) => {
    try {
      return decoder.decode(chunk, { stream: chunk !== undefined });
    } catch {
      throw new HubError("BAD_REQUEST", "The body is not UTF-8; send it in UTF-8.");
    }
  };
  const parts: string[] = [];
  for await (const chunk of chunks) parts.push(decode(chunk));
  parts.push(decode());
  return parts.join("");
}

/** Parses a request's body as a JSON object; an empty body is an empty object. @throws HubError */
export async function readJson(
  request: Request,
  hub: Context,
  options: BodyOptions,
): Promise<Record<string, unknown>> {
  const type = request.headers.get("content-type")?.split(";")[0]?.trim().toLowerCase();
  async function* ofType(): AsyncGenerator<Uint8Array> {
    for await (const chunk of readBody(request, hub, options)) {
      if (type === undefined || !(type === "application/json" || type.endsWith("+json"))) {
        throw new HubError(
          "UNSUPPORTED_MEDIA_TYPE",
          `The body must be application/json (now: ${type ?? "no Content-Type"}).`,
        );
      }
      yield chunk;
    }
  }
  const text = await readText(ofType());
  if (text === "") return {};
  await checkDepth(text);
  let value: unknown;
  try {
    value = await parseInSlices(text);
  } catch (error) {
    throw new HubError("BAD_REQUEST", `The body is not JSON: ${(error as Error).message.slice(0, 200)}`);
  }
  if (value === null || typeof value !== "object" || Array.isArray(value)) {
    throw new HubError("BAD_REQUEST", "The body must be a JSON object.");
  }
  return value as Record<string, unknown>;
}

/** @throws HubError BAD_REQUEST if JSON is nested too deep to process safely */
export async function checkDepth(text: string): Promise<void> {
  if (await depthOf(text) > MAX_DEPTH) {
    throw new HubError("BAD_REQUEST", `The body is nested deeper than the limit of ${MAX_DEPTH} levels.`);
  }
}

/** Maximum depth of brackets outside of strings. */
async function depthOf(text: string): Promise<number> {
  let depth = 0;
  let deepest = 0;
  let inString = false;
  for (let at = 0; at < text.length; at++) {
    if ((at & 0xffff) === 0xffff) await turns.take();
    const char = text.charCodeAt(at);
    if (inString) {
      if (char === 92) at++;
      else if (char === 34) inString = false;
    } else if (char === 34) inString = true;
    else if (char === 123 || char === 91) deepest = Math.max(deepest, ++depth);
    else if (char === 125 || char === 93) depth--;
  }
  return deepest;
}
