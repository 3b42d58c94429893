import { HubError } from "../../errors.ts";

const MAX_DEPTH = 64;

/** The bytes of a body, counted as they come. @throws HubError PAYLOAD_TOO_LARGE */
export async function* boundedBody(
  body: ReadableStream<Uint8Array> | null,
  limit: number,
): AsyncGenerator<Uint8Array> {
  let size = 0;
  for await (const chunk of body ?? []) {
    if (chunk.byteLength === 0) continue;
    size += chunk.byteLength;
    if (size > limit) throw tooLarge(limit);
    yield chunk;
  }
}

export function tooLarge(limit: number): HubError {
  return new HubError(
    "PAYLOAD_TOO_LARGE",
    `The body is larger than the ${limit} bytes this route takes (JSON_LIMIT; of pushes UPLOAD_LIMIT, in JSON PUSH_JSON_LIMIT).`,
  );
}

/** A JSON object out of a request's body; none is an empty one. @throws HubError */
export async function readJson(request: Request, limit: number): Promise<Record<string, unknown>> {
  const type = request.headers.get("content-type")?.split(";")[0]?.trim().toLowerCase();
  const declared = Number(request.headers.get("content-length") ?? 0);
  if (declared > limit) throw tooLarge(limit);
  const chunks: Uint8Array[] = [];
  for await (const chunk of boundedBody(request.body, limit)) chunks.push(chunk);
  if (chunks.length === 0) return {};
  if (type === undefined || !(type === "application/json" || type.endsWith("+json"))) {
    throw new HubError(
      "UNSUPPORTED_MEDIA_TYPE",
      `The body must be application/json (now: ${type ?? "no Content-Type"}).`,
    );
  }
  let text: string;
  let value: unknown;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(
      await new Blob(chunks as BlobPart[]).arrayBuffer(),
    );
  } catch {
    throw new HubError("BAD_REQUEST", "The body is not UTF-8.");
  }
  checkDepth(text);
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new HubError("BAD_REQUEST", `The body is not JSON: ${(error as Error).message.slice(0, 200)}`);
  }
  if (value === null || typeof value !== "object" || Array.isArray(value)) {
    throw new HubError("BAD_REQUEST", "The body must be a JSON object.");
  }
  return value as Record<string, unknown>;
}

/** @throws HubError BAD_REQUEST where JSON nests too deep to be walked safely */
export function checkDepth(text: string): void {
  if (depthOf(text) > MAX_DEPTH) {
    throw new HubError("BAD_REQUEST", `The body is nested deeper than ${MAX_DEPTH} levels.`);
  }
}

/** How deep brackets nest, outside of strings. */
function depthOf(text: string): number {
  let depth = 0;
  let deepest = 0;
  let inString = false;
  for (let at = 0; at < text.length; at++) {
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
