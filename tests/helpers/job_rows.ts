import type { Db } from "../../db/core/queryable.ts";
import { createJobs, type RequestOptions } from "../../db/jobs/job_requests.ts";
import { type JobInput, jobInput } from "../../schemas/job.ts";
import { BY } from "./author.ts";
import { testDatabase } from "./postgres.ts";

export const ROOT = "file:///drop";
export const PACKAGE = "calc_main_Release_Linux_AMD64_compiler";

export interface JobRows {
  sql: Db;
  options: RequestOptions;
  /** Ids of the enqueued jobs. */
  sent: number[];
  createJob(asked: JobInput, by?: RequestOptions): Promise<{ id: number; isNew: boolean }>;
  /** Creates a job of `calc` at 1085. */
  make(): Promise<number>;
  close(): Promise<void>;
}

export function input(extra: Record<string, unknown> = {}): JobInput {
  return jobInput.parse({ test: "calc", package: PACKAGE, changelist: 1085, ...extra });
}

/** A database with the test `calc` and a build of `PACKAGE` at 1085. */
export async function jobRows(): Promise<JobRows> {
  const database = await testDatabase();
  const { sql } = database;
  const sent: number[] = [];
  const options: RequestOptions = {
    by: BY,
    idempotencyKey: undefined,
    dropRoots: [ROOT],
    enqueue: (_tx, jobIds) => Promise.resolve(sent.push(...jobIds)),
  };
  await sql`insert into tests (name, scraper, submit) values ('calc', 'vrl', ${
    sql.json({ os: "linux", pool: "linux" })
  })`;
  await sql`insert into roots (url, name) values (${ROOT}, 'drop')`;
  await sql`insert into packages (name) values (${PACKAGE})`;
  await sql`insert into package_readings (root_id, package_id, read_at) values (1, 1, now())`;
  await sql`
    insert into builds (root_id, package_id, changelist, revision, file, first_seen)
    values (1, 1, 1085, 0, ${`SW_1085_${PACKAGE}.tgz`}, now())`;
  async function createJob(asked: JobInput, by = options) {
    const { ids: [id], isNew } = await createJobs(sql, asked, by);
    return { id: id!, isNew };
  }
  return {
    sql,
    options,
    sent,
    createJob,
    make: async () => (await createJob(input())).id,
    close: database.drop,
  };
}
