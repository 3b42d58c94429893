import { afterAll, beforeAll, expect, test } from "vitest";
import { formatMark, isMarkOf } from "../../db/jobs/job_marks.ts";
import type { JobDeps } from "../../cron/tasks/job_deps.ts";
import { type JobBench, jobBench } from "../helpers/job_bench.ts";

const HUB = "0123456789ab";
const OTHER = "ba9876543210";

test("a mark names the job, the attempt and the hub, and is read from the start of the note", () => {
  const mark = formatMark({ id: 7, attempt: 2, hub: HUB });
  expect(mark).toBe(`[chub job 7.2] [hub ${HUB}]`);
  const own = { id: 7, hub: HUB, markedFrom: 2 };
  expect(isMarkOf(`${mark} nightly`, own)).toBe(true);
  expect(isMarkOf(`user@site: ${mark}`, own)).toBe(true);
  expect(isMarkOf(mark, { ...own, hub: OTHER })).toBe(false);
  expect(isMarkOf(mark, { ...own, id: 71 })).toBe(false);
  // A person's note may name another job.
  expect(isMarkOf(`[chub job 9.1] [hub ${HUB}] as ${mark}`, own)).toBe(false);
  expect(isMarkOf("[chub job 7.x]", own)).toBe(false);
});

test("a note without a hub belongs to an attempt before notes named hubs", () => {
  const own = { id: 7, hub: HUB, markedFrom: 2 };
  expect(isMarkOf("[chub job 7.1] nightly", own)).toBe(true);
  expect(isMarkOf("[chub job 7.2] nightly", own)).toBe(false);
  expect(isMarkOf("[chub job 7.2] nightly", { ...own, markedFrom: null })).toBe(true);
});

let benches: [JobBench, JobBench];
/** Dependencies of the second hub, which submits to the first one's lab. */
let deps: JobDeps;
beforeAll(async () => {
  benches = [await jobBench(), await jobBench()];
  deps = await benches[1].withConfig({ vrlUrl: benches[0].lab.url });
  await benches[1].deps.sql`update hub set id = ${OTHER}`;
});
afterAll(() => Promise.all(benches.map((bench) => bench.close())));

test("two hubs that submit to one lab never claim each other's jobs", async () => {
  const [one, other] = benches;
  const id = await one.makeJob();
  expect(await other.makeJob()).toBe(id);
  expect(await one.submit(id)).toMatchObject({ state: "submitted" });
  one.lab.faults = ["answers 502", "none"];
  expect(await other.submit(id, deps)).toMatchObject({ state: "unknown" });
  // The first search finds only the other hub's job, so this job is resubmitted.
  const job = await other.minute(id, deps);
  expect(job).toMatchObject({ state: "submitted", attempt: 2, needsPerson: false });
  expect(job.serials).not.toEqual((await one.get(id)).serials);
  expect(one.lab.journal).toHaveLength(2);
});

test("a job submitted before notes named hubs is found by its old note", async () => {
  const [one] = benches;
  one.lab.faults = ["none"];
  const id = await one.makeJob();
  await one.submit(id);
  const { serials } = await one.get(id);
  one.lab.change(serials[0]!, { note: `[chub job ${id}.1] nightly` });
  await one.deps.sql`delete from job_serials where job_id = ${id}`;
  await one.deps.sql`update jobs set state = 'unknown', marked_from = null where id = ${id}`;
  expect(await one.minute(id)).toMatchObject({ state: "submitted", attempt: 1, serials });
});
