import { afterAll, beforeAll, expect, test } from "vitest";
import type { Db } from "../../../db/core/queryable.ts";
import {
  acceptJob,
  beginAttempt,
  listOverdueJobs,
  loseTrack,
  markAbandonedJobs,
  postponeAttempt,
} from "../../../db/jobs/job_progress.ts";
import { getJob, moveJob } from "../../../db/jobs/jobs.ts";
import { followLab } from "../../../db/jobs/lab_jobs.ts";
import { type JobRows, jobRows } from "../../helpers/job_rows.ts";

let rows: JobRows;
let sql: Db;
let make: JobRows["make"];
beforeAll(async () => {
  rows = await jobRows();
  ({ sql, make } = rows);
});
afterAll(() => rows.close());

test("a late answer to an earlier attempt changes no state but is recorded", async () => {
  const id = await make();
  const first = (await beginAttempt(sql, id, -1000))!;
  await markAbandonedJobs(sql);
  await moveJob(sql, id, { from: ["unknown"], to: "queued", cause: "the lab does not have it" });
  const second = (await beginAttempt(sql, id, 60_000))!;
  expect([first.attempt, second.attempt]).toEqual([1, 2]);
  const output = { stdout: "", stderr: "" };
  await loseTrack(sql, first, { reason: "late", isOver: true, ...output });
  expect(await postponeAttempt(sql, first, { reason: "late", ...output })).toBeUndefined();
  expect(await moveJob(sql, id, { from: ["submitting"], to: "failed", cause: "late", attempt: 1 })).toBe(
    false,
  );
  expect(await getJob(sql, id)).toMatchObject({ state: "submitting", attempt: 2 });
  expect(await acceptJob(sql, id, { serials: [701], cause: "accepted as 701" })).toBe(true);
  expect(await acceptJob(sql, id, { serials: [702], cause: "accepted as 702" })).toBe(true);
  const job = await getJob(sql, id);
  expect(job).toMatchObject({ state: "submitted", serials: [701, 702] });
  expect(job.events.at(-1)).toMatchObject({ state: "submitted", cause: "accepted as 702" });
});

test("of two jobs that get the same serial concurrently, one keeps it", async () => {
  const ids = [await make(), await make(), await make()];
  for (const id of ids) await beginAttempt(sql, id, 60_000);
  const taken = await Promise.all(
    ids.map((id) => acceptJob(sql, id, { serials: [801], cause: "accepted" }).catch(() => false)),
  );
  expect(taken.filter(Boolean)).toHaveLength(1);
});

test("jobs that wait for the lab do not start early, however many workers find it unreachable at once", async () => {
  const ids = await Promise.all(Array.from({ length: 8 }, () => make()));
  const begun = await Promise.all(ids.slice(0, 4).map((id) => beginAttempt(sql, id, 60_000)));
  const output = { reason: "no route to the lab", stdout: "", stderr: "" };
  await Promise.all(begun.map((job) => postponeAttempt(sql, job!, output)));
  for (const id of ids) {
    expect(await beginAttempt(sql, id, 60_000)).toBeUndefined();
    expect(await getJob(sql, id)).toMatchObject({ state: "queued", reason: "no route to the lab" });
  }
  await sql`update jobs set next_attempt_at = now() where id = any(${ids}::bigint[])`;
  const overdue = await listOverdueJobs(sql, { olderThanS: 30, limit: 1000 });
  expect(ids.every((id) => overdue.includes(id))).toBe(true);
});

test("the reason of a failed or lost job is that of its bad serials", async () => {
  const id = await make();
  await beginAttempt(sql, id, 1000);
  await acceptJob(sql, id, { serials: [901, 902, 903], cause: "accepted" });
  const say = (serial: number, state: string, reason: string | null) =>
    followLab(sql, "http://lab", { jobs: [{ serial, state, reason }], cursor: null });
  await say(901, "failed", "out of disk");
  await say(902, "done", "all is well");
  expect(await getJob(sql, id)).toMatchObject({ state: "running", reason: null });
  await say(903, "failed", "the build does not start");
  expect(await getJob(sql, id)).toMatchObject({
    state: "failed",
    reason: "out of disk; the build does not start",
  });
});
