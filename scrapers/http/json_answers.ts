import type { z } from "zod";
import { HubError } from "../../errors.ts";
import { parseLenientJson } from "../../formats/lenient_json.ts";
import type { BoundedFetch, FetchInit } from "./bounded_fetch.ts";
import { shownUrl } from "./fetch.ts";

/** What an answer is read by: a scrape's context. */
interface JsonReader {
  fetch: BoundedFetch;
  signal: AbortSignal;
}

/** The body as JSON of that shape; undefined for a 404. A body that breaks off is asked for again. */
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
    await checkAnswer(response, url);
    try {
      const text = await response.text();
      const value = shape.safeParse(await parseLenientJson(text));
      if (value.success) return { value: value.data, headers: response.headers, text };
      const [issue] = value.error.issues;
      throw new HubError(
        "BAD_GATEWAY",
        `The answer to ${shownUrl(url)} has another shape than expected: ${issue!.path.join(".")}: ${
          issue!.message
        }.`,
      );
    } catch (error) {
      context.signal.throwIfAborted();
      if (error instanceof HubError) throw error;
      // Not quoted: what a server says of a request may repeat its headers.
      if (attempt >= 3) {
        const type = response.headers.get("content-type") ?? "no type";
        throw new HubError(
          "BAD_GATEWAY",
          `The answer to ${shownUrl(url)} broke off or is not JSON (${type}).`,
          {
            cause: error,
          },
        );
      }
    }
  }
}

/** @throws HubError NOT_FOUND besides what `findJson` throws */
export async function getJson<T>(
  ...args: Parameters<typeof findJson<T>>
): Promise<{ value: T; headers: Headers }> {
  const found = await findJson(...args);
  if (found !== undefined) return found;
  throw new HubError("NOT_FOUND", `There is no ${shownUrl(args[1])}, or it is not shown without a secret.`);
}

/** @throws HubError BAD_REQUEST where a secret is wanted, BAD_GATEWAY for any other error */
export async function checkAnswer(response: Response, url: string): Promise<void> {
  if (response.ok) return;
  await response.body?.cancel();
  const isRefused = response.status === 401 || response.status === 403;
  throw new HubError(
    isRefused ? "BAD_REQUEST" : "BAD_GATEWAY",
    `${shownUrl(url)} answered ${response.status}${
      isRefused ? ": the setting `secret` is missing, or may not read that" : ""
    }.`,
  );
}
