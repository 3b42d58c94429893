import { createHash } from "node:crypto";
import { listAxisLists, recordListReading } from "../../db/axes/axes.ts";
import { addChangelists } from "../../db/axes/changelists.ts";
import type { Db } from "../../db/core/queryable.ts";
import { reasonOf } from "../../errors.ts";
import type { Config } from "../../config/config.ts";
import { readPolicyOf } from "../../scrapers/http/read_policy.ts";
import type { BoundedFetch } from "../../scrapers/http/bounded_fetch.ts";
import { createFetch } from "../../scrapers/http/fetch.ts";
import { fetchLabelList, readLabelList } from "../../scrapers/http/label_list.ts";

export interface ReadListsDeps {
  sql: Db;
  config: Readonly<Config>;
  log(message: string, fields?: Record<string, unknown>): void;
  fetch?: BoundedFetch;
}

/** Reading a list of half a million commits takes a second or two. */
const TIME_LIMIT_MS = 10 * 60_000;

/** Reads the lists that number the labels of axes; an unchanged list is not written again. */
export async function readListsTask(deps: ReadListsDeps, signal: AbortSignal): Promise<void> {
  const { sql, config, log } = deps;
  const allow = readPolicyOf(config);
  const fetch = deps.fetch ?? createFetch({ allow, timeLimitMs: TIME_LIMIT_MS });
  const either = AbortSignal.any([signal, AbortSignal.timeout(TIME_LIMIT_MS)]);
  for (const { axis, listUrl, hash } of await listAxisLists(sql)) {
    try {
      const chunks = await fetchLabelList(listUrl, { allow, fetch, signal: either });
      const digest = createHash("sha256");
      for (const chunk of chunks) digest.update(chunk);
      const now = digest.digest("hex");
      if (now !== hash) {
        const { added } = await addChangelists(sql, axis, readLabelList(chunks));
        log("read a list of changelists", { axis, added });
      }
      await recordListReading(sql, axis, { hash: now });
    } catch (error) {
      signal.throwIfAborted();
      log("could not read a list of changelists", { axis, reason: reasonOf(error) });
      await recordListReading(sql, axis, { error: reasonOf(error) });
    }
  }
}
