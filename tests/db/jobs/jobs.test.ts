import { afterAll, beforeAll, expect, test } from "vitest";
import type { Db } from "../../../db/core/queryable.ts";
import { checkUnderRoot } from "../../../db/jobs/job_builds.ts";
import { acceptJob, beginAttempt, findUnknownJob, markAbandonedJobs } from "../../../db/jobs/job_progress.ts";
import { cancelJob, retryJob } from "../../../db/jobs/job_requests.ts";
import { getJob, listJobs, moveJob } from "../../../db/jobs/jobs.ts";
import { followLab, listSerials } from "../../../db/jobs/lab_jobs.ts";
import { HubError } from "../../../errors.ts";
import { jobInput } from "../../../schemas/job.ts";
import { input, type JobRows, jobRows, PACKAGE, ROOT } from "../../helpers/job_rows.ts";

let rows: JobRows;
let sql: Db;
let options: JobRows["options"];
let make: JobRows["make"];
let createJob: JobRows["createJob"];
beforeAll(async () => {
  rows = await jobRows();
  ({ sql, options, make, createJob } = rows);
});
afterAll(() => rows.close());

test("a job takes the test's defaults and the build's location, and is enqueued", async () => {
  const id = await make();
  const job = await getJob(sql, id);
  expect(job).toMatchObject({
    state: "queued",
    os: "linux",
    pool: "linux",
    machine: null,
    labTest: "calc",
    package: PACKAGE,
    changelist: 1085,
    packageUrl: `${ROOT}/${PACKAGE}/SW_1085_${PACKAGE}.tgz`,
  });
  expect(job.events.map((event) => event.state)).toEqual(["queued"]);
  expect(rows.sent).toContain(id);
});

test("an idempotency key returns the first job, and rejects another request", async () => {
  const keyed = { ...options, idempotencyKey: "k1" };
  const first = await createJob(input(), keyed);
  expect(first.isNew).toBe(true);
  expect(await createJob(input(), keyed)).toEqual({ id: first.id, isNew: false });
  await expect(createJob(input({ note: "other" }), keyed)).rejects.toMatchObject({ code: "CONFLICT" });
});

test("of concurrent requests with the same key, one makes the job", async () => {
  const keyed = { ...options, idempotencyKey: "k2" };
  const made = await Promise.all(Array.from({ length: 6 }, () => createJob(input(), keyed)));
  expect(new Set(made.map((one) => one.id)).size).toBe(1);
  expect(made.filter((one) => one.isNew)).toHaveLength(1);
});

test("a job is rolled back when it cannot be enqueued", async () => {
  const before = (await listJobs(sql, { limit: 1000 })).items.length;
  const failing = { ...options, enqueue: () => Promise.reject(new Error("queue away")) };
  await expect(createJob(input(), failing)).rejects.toThrow("queue away");
  expect((await listJobs(sql, { limit: 1000 })).items).toHaveLength(before);
});

test("an unknown test, a missing build and a missing package have different errors", async () => {
  await expect(createJob(input({ test: "nope" }), options)).rejects.toMatchObject({ code: "NOT_FOUND" });
  await expect(createJob(input({ changelist: 7 }), options)).rejects.toMatchObject({
    code: "NOT_FOUND",
  });
  await expect(createJob(input({ package: undefined }), options)).rejects.toMatchObject({
    code: "BAD_REQUEST",
    issues: [{ path: "package" }],
  });
});

test("only a package URL under a drop root is accepted", () => {
  expect(checkUnderRoot(`${ROOT}/p/a.tgz`, [ROOT])).toBe(`${ROOT}/p/a.tgz`);
  expect(checkUnderRoot("https://drop.example/x/p/a.tgz", ["index+https://drop.example/x"])).toBe(
    "https://drop.example/x/p/a.tgz",
  );
  const bad = [
    "file:///etc/passwd",
    `${ROOT}/../etc/passwd`,
    `${ROOT}/%2e%2e/etc/passwd`,
    `${ROOT}/p%2f..%2f..%2fetc`,
    `${ROOT}`,
    `${ROOT}x/p`,
    "https://drop.example.evil/x/p",
    "https://user@drop.example/x/p",
    "not a url",
    "",
  ];
  for (const url of bad) {
    expect(() => checkUnderRoot(url, [ROOT, "https://drop.example/x"]), url).toThrow(HubError);
  }
});

test("an attempt starts once, however many workers try", async () => {
  const id = await make();
  const began = await Promise.all(Array.from({ length: 5 }, () => beginAttempt(sql, id, 1000)));
  expect(began.filter((one) => one !== undefined)).toHaveLength(1);
  expect(await getJob(sql, id)).toMatchObject({ state: "submitting", attempt: 1 });
});

test("an abandoned job becomes unknown only when vrlsubmit can no longer be running", async () => {
  const [fresh, old] = [await make(), await make()];
  await beginAttempt(sql, fresh, 60_000);
  await beginAttempt(sql, old, -1);
  const marked = await markAbandonedJobs(sql);
  expect(marked).toContain(old);
  expect(marked).not.toContain(fresh);
  expect(await findUnknownJob(sql, old, 0)).toMatchObject({ attempt: 1, isOver: true });
  expect(await findUnknownJob(sql, fresh, 0)).toBeUndefined();
});

test("serials are stored once; those of another job are rejected", async () => {
  const [first, second] = [await make(), await make()];
  await beginAttempt(sql, first, 1000);
  await beginAttempt(sql, second, 1000);
  expect(await acceptJob(sql, first, { serials: [501, 502], cause: "accepted" })).toBe(true);
  expect(await acceptJob(sql, second, { serials: [502], cause: "accepted" })).toBe(false);
  expect(await listSerials(sql, first)).toEqual([501, 502]);
  expect((await getJob(sql, second)).state).toBe("submitting");
});

test("the lab's report moves a job; with several serials the worst counts, once all are over", async () => {
  const id = await make();
  await beginAttempt(sql, id, 1000);
  await acceptJob(sql, id, { serials: [601, 602], cause: "accepted" });
  const say = (jobs: { serial: number; state: string }[], cursor = "c") =>
    followLab(sql, "http://lab", { jobs, cursor });
  await say([{ serial: 601, state: "running" }]);
  expect((await getJob(sql, id)).state).toBe("running");
  expect(await say([{ serial: 601, state: "lost" }])).toEqual([]);
  expect((await getJob(sql, id)).state).toBe("running");
  expect(await say([{ serial: 602, state: "done" }, { serial: 999_999, state: "done" }])).toEqual([1]);
  expect((await getJob(sql, id)).state).toBe("lost");
  expect(await say([{ serial: 602, state: "running" }])).toEqual([]);
  expect((await getJob(sql, id)).state).toBe("lost");
});

test("of two concurrent moves one succeeds, and only it records an event", async () => {
  const id = await make();
  const move = () => moveJob(sql, id, { from: ["queued"], to: "cancelled", cause: "test" });
  expect((await Promise.all([move(), move(), move()])).filter(Boolean)).toHaveLength(1);
  expect((await getJob(sql, id)).events).toHaveLength(2);
});

test("impossible cancels and retries fail with the reason", async () => {
  const id = await make();
  await expect(retryJob(sql, id, options)).rejects.toMatchObject({ code: "CONFLICT" });
  await cancelJob(sql, id, options);
  await expect(cancelJob(sql, id, options)).rejects.toMatchObject({ code: "CONFLICT" });
  const again = await retryJob(sql, id, { ...options, idempotencyKey: "r1" });
  expect(await retryJob(sql, id, { ...options, idempotencyKey: "r1" })).toEqual({
    id: again.id,
    isNew: false,
  });
  expect(await getJob(sql, again.id)).toMatchObject({ retryOf: id, state: "queued" });
  const submitting = await make();
  await beginAttempt(sql, submitting, 1000);
  await expect(cancelJob(sql, submitting, options)).rejects.toThrow("being submitted");
  await expect(getJob(sql, 999_999)).rejects.toMatchObject({ code: "NOT_FOUND" });
});

test("jobs are paged newest first, without gaps or repeats", async () => {
  const all = (await listJobs(sql, { limit: 1000 })).items.map((job) => job.id);
  expect(all).toEqual([...all].sort((a, b) => b - a));
  const paged: number[] = [];
  let cursor: string | undefined;
  do {
    const page = await listJobs(sql, { limit: 3, cursor });
    paged.push(...page.items.map((job) => job.id));
    cursor = page.nextCursor ?? undefined;
  } while (cursor !== undefined);
  expect(paged).toEqual(all);
  expect(
    (await listJobs(sql, { limit: 1000, state: "cancelled" })).items.every((job) =>
      job.state === "cancelled"
    ),
  ).toBe(true);
  expect((await listJobs(sql, { limit: 1000, open: false })).items.length).toBeLessThan(all.length);
});

test("arguments that vrlsubmit could read as options are rejected at input", () => {
  for (const bad of ["-x", "a\nb", "a\u0000b", "\u001b[31m", ""]) {
    expect(jobInput.safeParse({ test: "calc", machine: bad }).success, JSON.stringify(bad)).toBe(false);
  }
});
