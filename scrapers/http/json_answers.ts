import type { z } from "zod";
import { HubError } from "../../errors.ts";
import { parseLenientJson } from "../../formats/lenient_json.ts";
import type { BoundedFetch, FetchInit } from "./bounded_fetch.ts";
import { shownUrl } from "./fetch.ts";

/** The part of a scrape's context that reading JSON needs. */
interface JsonReader {
  fetch: BoundedFetch;
  signal: AbortSignal;
}

/**
 * Fetches JSON and checks its shape; returns undefined for 404 and 410. A truncated body is fetched up to 3 times.
 * @throws HubError BAD_GATEWAY when the body is not JSON of that shape, and what `checkResponse` throws
 */
export async function findJson<T>(
  context: JsonReader,
  url: string,
  shape: z.ZodType<T>,
  { maxBytes = 128 << 20, ...init }: Omit<FetchInit, "signal"> = {},
): Promise<{ value: T; headers: Headers; text: string } | undefined> {
  for (let attempt = 1;; attempt++) {
    const response = await context.fetch(url, { ...init, maxBytes, signal: context.signal });
    if (response.status === 404 || response.status === 410) {
      await response.body?.cancel();
      return undefined;
    }
    await checkResponse(response, url);
    try {
      const text = await response.text();
      const value = shape.safeParse(await parseLenientJson(text));
      if (value.success) return { value: value.data, headers: response.headers, text };
      const [issue] = value.error.issues;
      throw new HubError(
        "BAD_GATEWAY",
        `The response of ${shownUrl(url)} has an unexpected shape: ${issue!.path.join(".")}: ${
          issue!.message
        }.`,
      );
    } catch (error) {
      context.signal.throwIfAborted();
      if (error instanceof HubError) throw error;
      // The body is not quoted: it may repeat the request's headers, and so the secret.
      if (attempt >= 3) {
        const type = response.headers.get("content-type") ?? "none";
        throw new HubError(
          "BAD_GATEWAY",
          `The response of ${shownUrl(url)} is truncated or is not JSON (content type: ${type}).`,
          {
            cause: error,
          },
        );
      }
    }
  }
}

/** Like `findJson`, but the resource must exist. @throws HubError NOT_FOUND, and what `findJson` throws */
export async function getJson<T>(
  ...args: Parameters<typeof findJson<T>>
): Promise<{ value: T; headers: Headers }> {
  const found = await findJson(...args);
  if (found !== undefined) return found;
  throw new HubError(
    "NOT_FOUND",
    `${shownUrl(args[1])} does not exist, or is visible only with the setting \`secret\`.`,
  );
}

/** @throws HubError BAD_REQUEST for 401 and 403, BAD_GATEWAY for any other error status */
export async function checkResponse(response: Response, url: string): Promise<void> {
  if (response.ok) return;
  await response.body?.cancel();
  const isRefused = response.status === 401 || response.status === 403;
  throw new HubError(
    isRefused ? "BAD_REQUEST" : "BAD_GATEWAY",
    `${shownUrl(url)} answered ${response.status}${
      isRefused ? ": the setting `secret` is missing, or that secret has no access" : ""
    }.`,
  );
}
