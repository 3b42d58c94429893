import { afterEach, beforeEach, expect, test } from "vitest";
import type { Catalogue } from "../../run/lab/catalogue.ts";
import { LocalEngine } from "../../run/lab/engine.ts";
import { JobStore, type LabJob } from "../../run/lab/store.ts";
import { writeTgz } from "../../run/lab/unpack.ts";
import { until } from "../helpers/lab.ts";

let folder: string;
beforeEach(async () => {
  folder = await Deno.makeTempDir({ prefix: "chub-engine-" });
  await Deno.mkdir(`${folder}/drop`);
  await Deno.writeFile(`${folder}/drop/SW_1_p.tgz`, await writeTgz([{ path: "build/a.txt", content: "a" }]));
});
afterEach(() => Deno.remove(folder, { recursive: true }));

const MACHINES: Catalogue["machines"] = [{ name: "m1", os: "linux", pool: "linux" }];

/** Runs one job whose command is a line of shell; `act` is called once it runs. */
async function run(
  line: string,
  { timeLimitMs = 120_000, act }: { timeLimitMs?: number; act?(engine: LocalEngine, job: LabJob): void } = {},
): Promise<{ job: LabJob; output: string }> {
  const store = await JobStore.open(`${folder}/jobs.jsonl`);
  const engine = new LocalEngine({
    store,
    catalogue: {
      machines: MACHINES,
      tests: { t: { command: ["sh", "-c", line], timeLimitMs, results: ["results.xml"] } },
    },
    dataDir: folder,
    dropDir: `${folder}/drop`,
    labDir: folder,
    deno: Deno.execPath(),
    parallel: 1,
  });
  const { serial } = store.add({
    test: "t",
    os: "linux",
    machine: null,
    pool: "linux",
    packageUrl: `file://${folder}/drop/SW_1_p.tgz`,
    note: "",
    submittedBy: "x",
  });
  const find = () => Promise.resolve(store.find(serial)!);
  engine.pump();
  if (act !== undefined) {
    await until(() => Deno.stat(`${folder}/scratch/${serial}/begun`).then(() => true, () => false), Boolean);
    act(engine, store.find(serial)!);
  }
  const job = await until(find, ({ state }) => state !== "queued" && state !== "running");
  await until(() => Deno.stat(`${folder}/scratch/${serial}`).then(() => false, () => true), Boolean);
  const output = await Deno.readTextFile(`${folder}/artifacts/${serial}/output.txt`).catch(() => "");
  return { job, output };
}

/** Whether any process still has `mark` in its command line. */
async function isRunning(mark: string): Promise<boolean> {
  for await (const { name } of Deno.readDir("/proc")) {
    if (!/^\d+$/.test(name) || Number(name) === Deno.pid) continue;
    if ((await Deno.readTextFile(`/proc/${name}/cmdline`).catch(() => "")).includes(mark)) return true;
  }
  return false;
}

test("a command that ignores signals and writes without end is ended, with what it started", async () => {
  const mark = `mark-${crypto.randomUUID()}`;
  const { job, output } = await run(
    `trap '' TERM INT HUP; sh -c "trap '' TERM; while :; do sleep 0.05; done # ${mark}" & yes ${mark}`,
  );
  expect(job).toMatchObject({ state: "failed", reason: "it wrote without end" });
  expect(output.length).toBe(1 << 20);
  expect(await until(() => isRunning(mark), (running) => !running)).toBe(false);
});

test("one that ignores signals is over at its time limit", async () => {
  const { job } = await run("trap '' TERM; while :; do sleep 0.05; done", { timeLimitMs: 300 });
  expect(job).toMatchObject({ state: "failed", reason: "it took longer than 300 ms" });
});

test("a cancelled one ends at once; its result file is not taken for a verdict", async () => {
  const { job } = await run("echo '<testsuite/>' > results.xml; touch begun; sleep 60", {
    act: (engine, { serial }) => engine.cancel(serial),
  });
  expect(job).toMatchObject({ state: "cancelled", artifacts: [] });
});

test("a result that is a link is not followed; a command that is not there fails its job alone", async () => {
  const { job } = await run("ln -s /etc/passwd results.xml; cat build/build/a.txt");
  expect(job).toMatchObject({ state: "done", artifacts: [{ name: "output.txt", size: 1 }] });
  expect((await run("exec /no/such/program")).job).toMatchObject({
    state: "failed",
    reason: "it ended with 127",
  });
});
