import { HubError, reasonOf } from "../errors.ts";
import type { ResultRecord } from "../schemas/record.ts";
import type { ResultFormat } from "../formats/format.ts";
import { type FileItems, readResults } from "../formats/mod.ts";
import { checkAnswer, MAX_RESULTS } from "./ci.ts";
import type { FetchInit, ScrapeContext } from "./context.ts";
import { AnswerTooLarge, shownUrl } from "./fetch.ts";

const MAX_FILE = 256 << 20;

/** Names of files that may hold results, packed or not. */
export const RESULT_FILE =
  /\.(?:xml|sum|json|ndjson|tap|csv)(?:\.(?:gz|zst))?$|(?:^|\/)subtests\.txt$|\.(?:zip|tgz|tar(?:\.(?:gz|zst))?)$/i;

/**
 * The results in a file of a server; undefined where it is of no known format, or unreadable, and "gone" where it is, which is
 * counted as ignored. @throws HubError BAD_GATEWAY where it cannot be read now
 */
export async function findResults(
  context: ScrapeContext,
  url: string,
  { name, place, format, ...init }: FetchInit & { name: string; place: string; format?: ResultFormat },
): Promise<ResultRecord[] | "gone" | undefined> {
  for (let attempt = 1;; attempt++) {
    const response = await context.fetch(url, { maxBytes: MAX_FILE, ...init, signal: context.signal });
    if (response.status === 404 || response.status === 410) {
      await response.body?.cancel();
      context.ignore("is a result file that is gone", place);
      return "gone";
    }
    await checkAnswer(response, url);
    try {
      const { results, rejected } = await readAll(read(response.body!));
      for (const one of rejected) context.ignore(one.reason, `${place} ${one.place}`);
      return results;
    } catch (error) {
      context.signal.throwIfAborted();
      const isOther = error instanceof HubError && error.code === "UNSUPPORTED_MEDIA_TYPE";
      const isLarge = error instanceof AnswerTooLarge;
      if (isOther && /^text\/html\b/i.test(response.headers.get("content-type") ?? "")) {
        throw new HubError("BAD_GATEWAY", `${shownUrl(url)} answered with a page, such as one to sign in.`);
      }
      // What came broken may be whole the next time.
      if (!isOther && !isLarge && attempt === 1) continue;
      if (!(error instanceof HubError)) {
        throw new HubError("BAD_GATEWAY", `${shownUrl(url)} broke off: ${reasonOf(error)}`, { cause: error });
      }
      if (error.code === "BAD_GATEWAY" && !isLarge) throw error;
      context.ignore(
        isOther ? "is a file of no known format" : "is a result file that cannot be read",
        isOther ? place : `${place}: ${reasonOf(error)}`,
      );
      return undefined;
    }
  }

  async function* read(body: AsyncIterable<Uint8Array>): AsyncGenerator<FileItems> {
    if (format === undefined) yield* readResults(name, body);
    else for await (const items of format.parse(body)) yield { file: name, items };
  }
}

async function readAll(files: AsyncIterable<FileItems>) {
  const results: ResultRecord[] = [];
  const rejected: { place: string; reason: string }[] = [];
  for await (const { file, items } of files) {
    for (const item of items) {
      if (item.kind === "result") results.push(item.record);
      else if (item.kind === "rejected" && rejected.length < MAX_RESULTS) {
        rejected.push({ place: `${file} ${item.place}`, reason: `is a record that ${item.reason}` });
      }
    }
    if (results.length > MAX_RESULTS) {
      throw new HubError("PAYLOAD_TOO_LARGE", `has more than ${MAX_RESULTS} results`);
    }
  }
  return { results, rejected };
}
