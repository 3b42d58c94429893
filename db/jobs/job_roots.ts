import type { Db } from "../core/queryable.ts";
import { findRemovedRoot } from "../drop/drop_roots.ts";
import { moveJob } from "./jobs.ts";

/** Fails a queued job whose package is under a root that is no longer in DROP_URLS. Returns whether it did. */
export async function failRemoved(sql: Db, jobId: number): Promise<boolean> {
  return await sql.begin(async (tx) => {
    const [job] = await tx<{ packageUrl: string }[]>`
      select package_url as "packageUrl" from jobs where id = ${jobId} and state = 'queued' for update`;
    const root = job === undefined ? undefined : await findRemovedRoot(tx, job.packageUrl);
    if (root === undefined) return false;
    const cause = `not submitted: its package is under ${root}, which is no longer in DROP_URLS`;
    return await moveJob(tx, jobId, { from: ["queued"], to: "failed", cause });
  });
}
