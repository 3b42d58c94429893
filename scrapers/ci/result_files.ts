import { HubError, reasonOf } from "../../errors.ts";
import { MAX_ARTIFACT, readArtifact } from "../../formats/artifact.ts";
import type { ResultFormat } from "../../formats/format.ts";
import type { ResultRecord } from "../../schemas/record.ts";
import { checkResponse } from "../http/json_answers.ts";
import type { ScrapeContext } from "../core/context.ts";
import type { FetchInit } from "../http/bounded_fetch.ts";
import { ResponseTooLarge, shownUrl } from "../http/fetch.ts";

/** The results of all of a build's result files. */
export interface FoundResults {
  results: ResultRecord[];
  /** Number of files that no longer exist. */
  missing: number;
  /** Why an existing file cannot be read. */
  fault: string | undefined;
}

/** An empty `FoundResults`, for `addResults`. */
export function noResults(): FoundResults {
  return { results: [], missing: 0, fault: undefined };
}

export function addResults(all: FoundResults, { results, missing, fault }: FoundResults): void {
  for (const one of results) all.results.push(one);
  all.missing += missing;
  all.fault ??= fault;
}

/**
 * Reads the results in a file on a server. A file that no longer exists, has an unknown format or is broken counts as ignored.
 * @throws HubError BAD_GATEWAY when it cannot be read now
 */
export async function findResults(
  context: ScrapeContext,
  url: string,
  { name, place, format, ...init }: FetchInit & { name: string; place: string; format?: ResultFormat },
): Promise<FoundResults> {
  for (let attempt = 1;; attempt++) {
    const response = await context.fetch(url, { maxBytes: MAX_ARTIFACT, ...init, signal: context.signal });
    if (response.status === 404 || response.status === 410) {
      await response.body?.cancel();
      context.ignore("is a result file that no longer exists", place);
      return { ...noResults(), missing: 1 };
    }
    await checkResponse(response, url);
    try {
      const { results, rejected, faults } = await readArtifact(name, response.body!, { format });
      for (const one of rejected) context.ignore(one.reason, `${place} ${one.place}`);
      for (const { file, reason } of faults) {
        context.ignore("is a result file that cannot be read", `${place} ${file}: ${reason}`);
      }
      const [first] = faults;
      return { results, missing: 0, fault: first && `${first.file} cannot be read: ${first.reason}` };
    } catch (error) {
      context.signal.throwIfAborted();
      const isOther = error instanceof HubError && error.code === "UNSUPPORTED_MEDIA_TYPE";
      const isLarge = error instanceof ResponseTooLarge;
      if (isOther && /^text\/html\b/i.test(response.headers.get("content-type") ?? "")) {
        throw new HubError(
          "BAD_GATEWAY",
          `${
            shownUrl(url)
          } returned an HTML page instead of a file, possibly a sign-in page; check the setting \`secret\`.`,
        );
      }
      // The file may have been damaged in transfer.
      if (!isOther && !isLarge && attempt === 1) continue;
      if (!(error instanceof HubError)) {
        throw new HubError("BAD_GATEWAY", `The transfer of ${shownUrl(url)} failed: ${reasonOf(error)}`, {
          cause: error,
        });
      }
      if (error.code === "BAD_GATEWAY" && !isLarge) throw error;
      context.ignore(
        isOther ? "is a file of an unknown format" : "is a result file that cannot be read",
        isOther ? place : `${place}: ${reasonOf(error)}`,
      );
      return { ...noResults(), fault: isOther ? undefined : `${name} cannot be read: ${reasonOf(error)}` };
    }
  }
}
