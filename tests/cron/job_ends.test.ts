import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { cancelJobInLab } from "../../cron/tasks/follow_lab.ts";
import { searchLabForJob } from "../../cron/tasks/jobs.ts";
import { cancelJob, retryJob } from "../../db/jobs/job_requests.ts";
import { HOME } from "../helpers/app.ts";
import { BY } from "../helpers/author.ts";
import { type JobBench, jobBench } from "../helpers/job_bench.ts";
import { submitAndDie } from "../helpers/job_child.ts";
import { until } from "../helpers/lab.ts";
import { listProcesses } from "../helpers/processes.ts";
import { hasProgram, requires } from "../helpers/require.ts";

/** Time limit of a vrlsubmit that hangs. On a machine that starts it more slowly, nothing is submitted. */
const HANG_MS = 5000;

let bench: JobBench;
let folder: string;
beforeAll(async () => {
  bench = await jobBench();
  folder = await Deno.makeTempDir();
});
afterAll(async () => {
  await bench.close();
  await Deno.remove(folder, { recursive: true });
});
beforeEach(async () => {
  await bench.deps.sql`update jobs set state = 'cancelled'`;
  bench.lab.faults = ["none"];
});

const stored = (id: number) =>
  bench.lab.journal.filter((job) => job.note.startsWith(`[chub job ${id}.`)).length;

/** Settings with a shell command as vrlsubmit, which counts its runs; `LAB` is the address to submit to. */
async function program(body: string) {
  const path = `${folder}/${crypto.randomUUID()}`;
  await Deno.writeTextFile(path, `#!/bin/sh\necho run >> ${path}.runs\n${body}\n`, { mode: 0o755 });
  const runs = async () => (await Deno.readTextFile(`${path}.runs`)).trim().split("\n").length;
  return { deps: await bench.withConfig({ vrlsubmitPath: path, vrlsubmitTimeoutMs: HANG_MS }), runs };
}

test.each(
  [
    "stores, cuts the connection",
    "stores, answers 502",
    "stores, answers nonsense",
    "stores, answers no serial",
    "stores, hangs",
  ] as const,
)("a lab that %s has one job, which is found by its note", async (fault) => {
  bench.lab.faults = [fault, "none"];
  const id = await bench.makeJob();
  const deps = await bench.withConfig({ vrlsubmitTimeoutMs: fault.endsWith("hangs") ? HANG_MS : 60_000 });
  const after = await bench.submit(id, deps);
  expect(after).toMatchObject({ state: "unknown", needsPerson: false, reason: expect.any(String) });
  expect(await bench.minute(id)).toMatchObject({
    state: "submitted",
    serials: [expect.any(Number)],
    reason: null,
  });
  expect(stored(id)).toBe(1);
});

test.each(["cuts the connection", "answers 502", "answers nonsense", "hangs"] as const)(
  "a lab that %s and stores nothing gets the job once more",
  async (fault) => {
    bench.lab.faults = [fault, "none"];
    const id = await bench.makeJob();
    const deps = await bench.withConfig({ vrlsubmitTimeoutMs: fault.endsWith("hangs") ? HANG_MS : 60_000 });
    expect((await bench.submit(id, deps)).state).toBe("unknown");
    expect(await bench.minute(id, deps)).toMatchObject({ state: "submitted", attempt: 2 });
    expect(stored(id)).toBe(1);
  },
);

test("a refusal fails the job with the lab's message", async () => {
  bench.lab.faults = ["refuses"];
  const id = await bench.makeJob();
  expect(await bench.submit(id)).toMatchObject({ state: "failed", reason: "no such pool" });
  expect(stored(id)).toBe(0);
});

test("while the lab is unreachable jobs wait with the reason, and continue once it is reachable", async () => {
  const [first, second] = [await bench.makeJob(), await bench.makeJob()];
  bench.setLab(false);
  const waiting = await bench.submit(first);
  expect(waiting).toMatchObject({
    state: "queued",
    reason: expect.stringContaining("is unreachable"),
    nextAttemptAt: expect.any(String),
  });
  // The other job is not tried.
  expect(await bench.submit(second)).toMatchObject({
    state: "queued",
    attempt: 0,
    nextAttemptAt: expect.any(String),
  });
  expect(await bench.submit(first)).toMatchObject({ state: "queued", attempt: 1 });
  const waits: number[] = [];
  for (let count = 0; count < 8; count++) {
    const { nextAttemptAt } = await bench.minute(first);
    waits.push(Math.round((Date.parse(nextAttemptAt!) - Date.now()) / 1000));
  }
  expect(waits.at(-1)).toBeGreaterThan(280);
  expect(waits.at(-1)).toBeLessThanOrEqual(300);
  expect(waits[0]).toBeLessThanOrEqual(10);
  const { events } = await bench.get(first);
  expect(events.map(({ state }) => state)).toEqual(["submitting", "queued"]);
  bench.setLab(true);
  expect(await bench.minute(first)).toMatchObject({ state: "submitted", reason: null, nextAttemptAt: null });
  expect(await bench.submit(second)).toMatchObject({ state: "submitted" });
  expect([stored(first), stored(second)]).toEqual([1, 1]);
});

test.each([
  ["names no serial", "echo done"],
  ["hangs", "sleep 60"],
  ["is ended by a signal", "kill -9 $$"],
  ["does not know", "exit 76"],
])("a job whose vrlsubmit %s is submitted twice and then waits for a person", async (_what, body) => {
  const { deps, runs } = await program(body);
  const id = await bench.makeJob();
  await bench.submit(id, deps);
  for (let count = 0; count < 4; count++) await bench.minute(id, deps);
  const job = await bench.get(id);
  expect(job).toMatchObject({ state: "unknown", needsPerson: true, attempt: 2 });
  expect(job.reason).toContain("Cancel it, or retry it");
  expect(await runs()).toBe(2);
});

const needsSetsid = requires("setsid", hasProgram("setsid"), "apt-get install util-linux");

needsSetsid(
  "if a process left by vrlsubmit submits late, the job is not resubmitted, and is found then",
  async () => {
    await Deno.writeTextFile(
      `${folder}/late.ts`,
      `const { args: [url, go, ...rest] } = Deno;
    while (!await Deno.stat(go).then(() => true, () => false)) await new Promise((go) => setTimeout(go, 20));
    await fetch(url, { method: "POST", body: JSON.stringify({ note: rest[rest.indexOf("-n") + 1] }) });`,
    );
    const late =
      `setsid "$CHUB_DENO" run -A --no-config ${folder}/late.ts ${bench.lab.url}/jobs ${folder}/go "$@"`;
    const body = `${late} >/dev/null 2>&1 </dev/null &\nsleep 60`;
    const { deps, runs } = await program(body);
    const id = await bench.makeJob();
    expect(await bench.submit(id, deps)).toMatchObject({ state: "unknown", needsPerson: true });
    for (let count = 0; count < 3; count++) {
      expect(await bench.minute(id, deps)).toMatchObject({ state: "unknown", needsPerson: true });
    }
    await Deno.writeTextFile(`${folder}/go`, "");
    await until(() => Promise.resolve(stored(id)), (count) => count === 1);
    expect(await bench.minute(id, deps)).toMatchObject({ state: "submitted", needsPerson: false });
    expect([await runs(), stored(id)]).toEqual([1, 1]);
  },
);

const options = { by: BY, idempotencyKey: undefined, dropRoots: [], enqueue: () => Promise.resolve() };

test("an unknown job that a person retries is not resubmitted automatically as well", async () => {
  const { sql } = bench.deps;
  bench.lab.faults = ["answers 502", "none"];
  const id = await bench.makeJob();
  expect(await bench.submit(id)).toMatchObject({ state: "unknown", needsPerson: false });
  const retry = (await retryJob(sql, id, options)).id;
  expect(await bench.submit(retry)).toMatchObject({ state: "submitted" });
  expect(await bench.minute(id)).toMatchObject({ state: "unknown", needsPerson: true, attempt: 1 });
  expect(stored(id) + stored(retry)).toBe(1);
});

test("of a concurrent search and retry, only one resubmits an unknown job", async () => {
  const { sql } = bench.deps;
  for (let count = 0; count < 20; count++) {
    bench.lab.faults = ["answers 502", "none"];
    const id = await bench.makeJob();
    await sql`
      update jobs set state = 'unknown', attempt = 1, attempt_ends_at = now() - interval '1 hour' where id = ${id}`;
    const [retried] = await Promise.allSettled([
      retryJob(sql, id, options),
      searchLabForJob(bench.deps, id, AbortSignal.timeout(60_000)),
    ]);
    const { state } = await bench.get(id);
    expect(state).toBe(retried.status === "fulfilled" ? "unknown" : "queued");
  }
});

test("a job cancelled while unknown is also cancelled in the lab", async () => {
  const { sql } = bench.deps;
  bench.lab.faults = ["stores, answers 502", "none"];
  const id = await bench.makeJob();
  expect(await bench.submit(id)).toMatchObject({ state: "unknown" });
  const asked: number[] = [];
  await cancelJob(sql, id, { ...options, enqueue: (_tx, ids) => Promise.resolve(asked.push(...ids)) });
  expect(asked).toEqual([id]);
  await cancelJobInLab(bench.deps, id, AbortSignal.timeout(60_000));
  expect(bench.lab.journal.at(-1)).toMatchObject({
    note: expect.stringContaining(`job ${id}.`),
    state: "cancelled",
  });
});

needsSetsid("what left the group of a submission whose hub is killed submits nothing any more", async () => {
  const name = crypto.randomUUID();
  // A chain of sessions, of which the last would submit.
  const late = `setsid sh -c 'setsid sh -c "sleep 15; echo ${name} >> ${folder}/${name}" & sleep 15'`;
  const path = `${folder}/${crypto.randomUUID()}`;
  await Deno.writeTextFile(
    path,
    `#!/bin/sh\n${late} >/dev/null 2>&1 </dev/null &\n: > ${folder}/begun\nsleep 60\n`,
    { mode: 0o755 },
  );
  const id = await bench.makeJob();
  const env = { ...bench.env, VRLSUBMIT_PATH: path };
  await submitAndDie({ home: HOME, env, jobId: id, dieAt: 4000 });
  expect(await Deno.stat(`${folder}/begun`)).toMatchObject({ isFile: true });
  const left = async () => (await listProcesses()).filter(({ command }) => command.includes(name));
  await until(left, (found) => found.length === 0);
  expect(await Deno.stat(`${folder}/${name}`).catch(() => undefined)).toBeUndefined();
});

test("a serial unknown to the lab is lost after a time, but not while the lab is unreachable", async () => {
  const { sql } = bench.deps;
  const id = await bench.makeJob();
  const { serials: [serial] } = await bench.submit(id);
  const age = () =>
    sql`
      update job_serials set heard_at = heard_at - interval '1 hour', asked_at = asked_at - interval '1 hour',
        missed_since = missed_since - interval '1 hour' where serial = ${serial!}`;
  const state = async () => (await bench.get(id)).state;
  await age();
  await bench.follow();
  expect(await state()).toBe("submitted");
  bench.lab.forgotten.add(serial!);
  bench.setLab(false);
  await age();
  await expect(bench.follow()).rejects.toThrow("does not answer");
  bench.setLab(true);
  await age();
  await bench.follow();
  expect(await state()).toBe("submitted");
  // It reappears, and disappears again: the time counts from then.
  bench.lab.forgotten.delete(serial!);
  await age();
  await bench.follow();
  bench.lab.forgotten.add(serial!);
  await age();
  await bench.follow();
  expect(await state()).toBe("submitted");
  await age();
  await bench.follow();
  expect(await bench.get(id)).toMatchObject({
    state: "lost",
    reason: `the lab has not known job ${serial} for 600 s`,
  });
});

test("a job that the lab returns an error for does not prevent other jobs from being marked lost", async () => {
  const { sql } = bench.deps;
  const serials: number[] = [];
  for (let count = 0; count < 3; count++) {
    serials.push(...(await bench.submit(await bench.makeJob())).serials);
  }
  const [first, second, third] = serials as [number, number, number];
  bench.lab.broken.add(first);
  for (const serial of [second, third]) bench.lab.forgotten.add(serial);
  for (let turn = 0; turn < 6; turn++) {
    await sql`
      update job_serials set heard_at = heard_at - interval '1 hour', asked_at = asked_at - interval '1 hour',
        missed_since = missed_since - interval '1 hour' where serial = any(${serials}::bigint[])`;
    await bench.follow();
  }
  const states =
    await sql`select state from job_serials where serial = any(${serials}::bigint[]) order by serial`;
  expect(states.map((row) => row.state)).toEqual(["queued", "lost", "lost"]);
});

test("a job that fails in the lab shows the lab's reason", async () => {
  const id = await bench.makeJob();
  const { serials: [serial] } = await bench.submit(id);
  bench.lab.change(serial!, { state: "running", reason: "a machine\u0000 was found" });
  await bench.follow();
  expect(await bench.get(id)).toMatchObject({ state: "running", reason: null });
  bench.lab.change(serial!, { state: "failed", reason: "the machine lab-7\u0000 caught fire" });
  await bench.follow();
  const job = await bench.get(id);
  expect(job).toMatchObject({ state: "failed", reason: "the machine lab-7  caught fire" });
  expect(job.events.at(-1)!.cause).toBe("reported by the lab: the machine lab-7  caught fire");
});
