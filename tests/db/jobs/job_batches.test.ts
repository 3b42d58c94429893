import { afterAll, beforeAll, expect, test } from "vitest";
import type { Db } from "../../../db/core/queryable.ts";
import { createJobs, type RequestOptions } from "../../../db/jobs/job_requests.ts";
import { getJob, listJobs, listJobsById } from "../../../db/jobs/jobs.ts";
import { input, type JobRows, jobRows, PACKAGE, ROOT } from "../../helpers/job_rows.ts";

let rows: JobRows;
let sql: Db;
let options: RequestOptions;
let createJob: JobRows["createJob"];
beforeAll(async () => {
  rows = await jobRows();
  ({ sql, options, createJob } = rows);
});
afterAll(() => rows.close());

const BUILDS = [2001, 2002, 2003, 2004];
async function batch(extra: Record<string, unknown> = {}, by = options) {
  return await createJobs(sql, input({ changelist: undefined, changelists: BUILDS, ...extra }), by);
}

test("a request with changelists makes one job for each, in order, and only once per key", async () => {
  await sql`
    insert into builds (root_id, package_id, changelist, revision, file, first_seen)
    select 1, 1, number, revision, 'SW_' || number || '.' || revision || '.tgz', now()
    from unnest(${BUILDS}::int[]) as number, unnest(array[0, 1]) as revision`;
  const keyed = { ...options, idempotencyKey: "batch" };
  const before = rows.sent.length;
  const made = await Promise.all([batch({}, keyed), batch({}, keyed), batch({}, keyed)]);
  expect(made.filter((one) => one.isNew)).toHaveLength(1);
  expect(new Set(made.map((one) => String(one.ids))).size).toBe(1);
  const { ids } = made[0]!;
  expect(rows.sent.slice(before)).toEqual(ids);
  expect((await listJobsById(sql, [...ids].reverse())).map((job) => [job.id, job.changelist, job.packageUrl]))
    .toEqual(
      ids.map((id, at) => [id, BUILDS[at], `${ROOT}/${PACKAGE}/SW_${BUILDS[at]}.1.tgz`]).reverse(),
    );
  await expect(batch({ changelists: [2001] }, keyed)).rejects.toMatchObject({ code: "CONFLICT" });
  const [audit] = await sql`select object, after from audit order by id desc limit 1`;
  expect(audit).toMatchObject({
    object: `jobs ${ids[0]} to ${ids.at(-1)}`,
    after: { ids, changelists: BUILDS },
  });
});

test("if a changelist has no build, no job is made, and every such changelist is listed", async () => {
  const before = (await listJobs(sql, { limit: 1000 })).items.length;
  const fault = await batch({ changelists: [2001, 7, 2003, 9] }).catch((error) => error);
  expect(fault).toMatchObject({
    code: "NOT_FOUND",
    message: expect.stringContaining("at 2 of 4 changelists"),
    issues: [
      { path: "changelists.1", message: expect.stringContaining("7") },
      { path: "changelists.3", message: expect.stringContaining("9") },
    ],
  });
  await expect(batch({ changelists: [2001, 2002, 2001] })).rejects.toMatchObject({
    code: "BAD_REQUEST",
    issues: [{ path: "changelists.2" }],
  });
  for (const other of [{ changelist: 2001 }, { packageUrl: `${ROOT}/p/a.tgz` }]) {
    await expect(batch(other)).rejects.toMatchObject({
      code: "BAD_REQUEST",
      issues: [{ path: Object.keys(other)[0] }],
    });
  }
  await expect(batch({}, { ...options, enqueue: () => Promise.reject(new Error("queue unavailable")) }))
    .rejects
    .toThrow();
  expect((await listJobs(sql, { limit: 1000 })).items).toHaveLength(before);
});

test("a job whose results will not be read has a warning", async () => {
  const warningOf = async (test: string, extra: Record<string, unknown> = {}) =>
    (await getJob(sql, (await createJob(input({ test, ...extra }))).id)).warnings;
  const submit = sql.json({ os: "linux", pool: "linux" });
  await sql`
    insert into tests (name, scraper, settings, submit, enabled) values
      ('pushed', 'push', '{}', ${submit}, true), ('off', 'vrl', '{}', ${submit}, false),
      ('renamed', 'vrl', '{"test": "calc"}', ${submit}, true)`;
  expect(await warningOf("calc")).toEqual([]);
  expect(await warningOf("pushed")).toEqual([expect.stringContaining('its scraper is "push"')]);
  expect(await warningOf("off")).toEqual([expect.stringContaining("is disabled")]);
  expect(await warningOf("renamed")).toEqual([expect.stringContaining('reads jobs of "calc"')]);
  expect(await warningOf("renamed", { labTest: "calc" })).toEqual([]);
});
