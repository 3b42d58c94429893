import { afterAll, beforeAll, expect, test } from "vitest";
import type { JobDetail } from "../../schemas/job.ts";
import { HOME } from "../helpers/app.ts";
import { FAULTS_MS, faultSeed, type Random, report, seeded, trialCount } from "../helpers/faults.ts";
import { type JobBench, jobBench } from "../helpers/job_bench.ts";
import { submitAndDie } from "../helpers/job_child.ts";
import { until } from "../helpers/lab.ts";
import { LAB_FAULTS } from "../helpers/faulty_lab.ts";
import { listProcesses } from "../helpers/processes.ts";
import { hasProgram } from "../helpers/require.ts";

const TIME_LIMIT_S = 3;
const AT_ONCE = 3;
/** Minutes after which a job is in the lab, rejected, or waiting for a person. */
const MINUTES = 8;
const STEPS = ["begun", "ran", "accepted", "postponed", "lost track"] as const;

/** Each trial has its own lab and database, so an outage affects only one trial. */
let benches: JobBench[];
let folder: string;
beforeAll(async () => {
  const settings = { VRLSUBMIT_TIMEOUT: String(TIME_LIMIT_S) };
  benches = await Promise.all(Array.from({ length: AT_ONCE }, () => jobBench(settings)));
  folder = await Deno.makeTempDir();
  // Submits some time after the program that starts it has ended, or should have.
  await Deno.writeTextFile(
    `${folder}/late.sh`,
    `#!/bin/sh\nsleep "$1"; shift; exec ${HOME}/run/vrlsubmit "$@" >/dev/null 2>&1\n`,
    { mode: 0o755 },
  );
});
afterAll(async () => {
  await Promise.all(benches.map((bench) => bench.close()));
  await Deno.remove(folder, { recursive: true });
});

/** A vrlsubmit that starts another process to submit, inside its group or outside, and meanwhile ends or hangs. */
async function straggler(random: Random): Promise<string> {
  const leaves = random.below(2) === 0 && hasProgram("setsid") ? "setsid " : "";
  const delay = (random.next() * 5).toFixed(2);
  const end = random.pick(["sleep 60", "exit 0", "exit 1", "exit 75", "kill -9 $$"]);
  const path = `${folder}/${crypto.randomUUID()}`;
  const line = `${leaves}${folder}/late.sh ${delay} "$@" </dev/null >/dev/null 2>&1 &`;
  await Deno.writeTextFile(path, `#!/bin/sh\n${line}\n${end}\n`, { mode: 0o755 });
  return path;
}

/** Waits until no process started for a job is running. */
async function areGone({ lab }: JobBench): Promise<boolean> {
  const server = new URL(lab.url).host;
  return (await listProcesses()).every(({ command }) => !command.includes(`-s ${server} `));
}

/** Runs one job with its faults until its state is final. Returns its states, and the last one. */
async function trial(
  bench: JobBench,
  random: Random,
): Promise<{ id: number; story: string; job: JobDetail }> {
  const id = await bench.makeJob();
  const faults = Array.from({ length: random.below(3) }, () => random.pick(LAB_FAULTS));
  bench.lab.faults = [...faults, "none"];
  const kind = random.pick(["lab", "lab", "kill", "straggler"] as const);
  const outage = random.below(8) === 0;
  const dieAt = random.below(2) === 0 ? random.pick(STEPS) : random.below(1500);
  if (outage) bench.setLab(false);
  const program = kind === "straggler" ? await straggler(random) : undefined;
  const deps = program === undefined ? bench.deps : await bench.withConfig({ vrlsubmitPath: program });
  if (kind === "kill") await submitAndDie({ home: HOME, env: bench.env, jobId: id, dieAt });
  else await bench.submit(id, deps);
  if (outage) bench.setLab(true);
  const story = `${kind}, ${faults.join(" then ") || "a good lab"}${outage ? ", after an outage" : ""}${
    kind === "kill" ? `, at ${dieAt}` : ""
  }`;
  // The test moves time in the database below, which does not affect the guards' clocks.
  if (kind === "kill") await until(() => areGone(bench), Boolean);
  for (let minute = 0; minute < MINUTES; minute++) {
    const job = await bench.minute(id, deps);
    if (kind !== "straggler" && (job.state === "submitted" || job.state === "failed" || job.needsPerson)) {
      break;
    }
  }
  await until(() => areGone(bench), Boolean);
  return { id, story, job: await bench.minute(id, deps) };
}

test(
  "no job is in the lab twice or lost, whatever the lab, vrlsubmit and the hub do",
  async () => {
    const seed = faultSeed();
    const trials = trialCount(9, 150);
    const doubles: string[] = [];
    const losses: string[] = [];
    const ends = new Map<string, number>();
    let begun = 0;
    const work = async (bench: JobBench) => {
      while (begun < trials) {
        const { id, story, job } = await trial(bench, seeded(seed, begun++));
        const inLab = bench.lab.journal.filter((one) => one.note.startsWith(`[chub job ${id}.`));
        const line = `job ${id} (${story}): ${inLab.length} in the lab, ${job.state}: ${job.reason}`;
        if (inLab.length > 1) doubles.push(line);
        // If in the lab, the job is followed there. If not, it is rejected, shown to a person, or waiting.
        const isKept = inLab.length > 0
          ? job.state === "submitted" && inLab.every(({ serial }) => job.serials.includes(serial))
          : job.state === "failed" || job.state === "queued" || job.needsPerson;
        if (!isKept) losses.push(line);
        const end = job.needsPerson ? "person" : job.state;
        ends.set(end, (ends.get(end) ?? 0) + 1);
      }
    };
    await Promise.all(benches.map(work));
    report("lab", {
      seed,
      trials,
      losses: losses.length,
      doubles: doubles.length,
      ...Object.fromEntries(ends),
    });
    expect({ losses, doubles }).toEqual({ losses: [], doubles: [] });
  },
  FAULTS_MS,
);
