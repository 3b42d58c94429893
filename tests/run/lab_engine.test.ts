import { afterEach, beforeEach, expect, test } from "vitest";
import type { Catalogue } from "../../run/lab/catalogue.ts";
import { LocalEngine } from "../../run/lab/engine.ts";
import { JobStore, type LabJob } from "../../run/lab/store.ts";
import { writeTgz } from "../../run/lab/unpack.ts";
import { labFlags } from "../../run/lab/permissions.ts";
import { HOME } from "../helpers/app.ts";
import { freePort, until } from "../helpers/lab.ts";

let folder: string;
beforeEach(async () => {
  folder = await Deno.makeTempDir({ prefix: "chub-engine-" });
  await Deno.mkdir(`${folder}/drop`);
  await Deno.writeFile(`${folder}/drop/SW_1_p.tgz`, await writeTgz([{ path: "build/a.txt", content: "a" }]));
});
afterEach(() => Deno.remove(folder, { recursive: true }));

const MACHINES: Catalogue["machines"] = [{ name: "m1", os: "linux", pool: "linux" }];

/** Runs one job whose command is a line of shell. Calls `act` once it runs. */
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

test("a command that ignores signals and writes endlessly is ended with its descendants", async () => {
  const mark = `mark-${crypto.randomUUID()}`;
  const { job, output } = await run(
    `trap '' TERM INT HUP; sh -c "trap '' TERM; while :; do sleep 0.05; done # ${mark}" & yes ${mark}`,
  );
  expect(job).toMatchObject({ state: "failed", reason: "it wrote too much output" });
  expect(output.length).toBe(1 << 20);
  expect(await until(() => isRunning(mark), (running) => !running)).toBe(false);
});

test("a command that ignores signals is ended at its time limit", async () => {
  const { job } = await run("trap '' TERM; while :; do sleep 0.05; done", { timeLimitMs: 300 });
  expect(job).toMatchObject({ state: "failed", reason: "it took longer than 300 ms" });
});

test("a cancelled job ends at once, and its result file is ignored", async () => {
  const { job } = await run("echo '<testsuite/>' > results.xml; touch begun; sleep 60", {
    act: (engine, { serial }) => engine.cancel(serial),
  });
  expect(job).toMatchObject({ state: "cancelled", artifacts: [] });
});

test("a result that is a link is not followed, and a missing command fails only its own job", async () => {
  const { job } = await run("ln -s /etc/passwd results.xml; cat build/build/a.txt");
  expect(job).toMatchObject({ state: "done", artifacts: [{ name: "output.txt", size: 1 }] });
  expect((await run("exec /no/such/program")).job).toMatchObject({
    state: "failed",
    reason: "it exited with 127",
  });
});

test("with its own permission flags the lab ends a job at its time limit and a cancelled job", async () => {
  const mark = `mark-${crypto.randomUUID()}`;
  await Deno.writeTextFile(`${folder}/spin.ts`, "setInterval(() => {}, 1000);");
  const command = ["deno", "run", "--quiet", "--no-config", `${folder}/spin.ts`, mark];
  const tests = {
    short: { command, timeLimitMs: 500, results: [] },
    long: { command, timeLimitMs: 300_000, results: [] },
  };
  await Deno.writeTextFile(`${folder}/catalogue.json`, JSON.stringify({ machines: MACHINES, tests }));
  await Deno.writeTextFile(`${folder}/token`, "token");
  const listen = `127.0.0.1:${freePort()}`;
  const paths = { listen, data: folder, drop: `${folder}/drop`, tokenFile: `${folder}/token` };
  const labDir = `${HOME}/run/lab`;
  const lab = new Deno.Command(Deno.execPath(), {
    args: [
      ...[
        "run",
        "--quiet",
        ...labFlags({ ...paths, drops: [paths.drop], labDir, deno: Deno.execPath() }),
        `${labDir}/main.ts`,
      ],
      ...["--listen", listen, "--data", folder, "--drop", paths.drop, "--token-file", paths.tokenFile],
      ...["--catalogue", `${folder}/catalogue.json`],
    ],
    cwd: HOME,
    stdout: "null",
    stderr: "inherit",
  }).spawn();
  const ask = async (method: string, path: string, body?: unknown) => {
    const response = await fetch(`http://${listen}${path}`, {
      method,
      headers: { authorization: "Bearer token" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return await response.json();
  };
  const submit = async (test: string) => {
    const packageUrl = `file://${folder}/drop/SW_1_p.tgz`;
    const { serials } = await ask("POST", "/jobs", { test, os: "linux", pool: "linux", packageUrl });
    return `/jobs/${serials[0]}`;
  };
  try {
    await until(() => ask("GET", "/health").then(() => true, () => false), Boolean);
    const short = await submit("short");
    const ended = await until(
      () => ask("GET", short),
      ({ state }) => state !== "queued" && state !== "running",
    );
    expect(ended).toMatchObject({ state: "failed", reason: "it took longer than 500 ms" });
    const long = await submit("long");
    await until(() => isRunning(mark), Boolean);
    await ask("DELETE", long);
    await until(() => isRunning(mark), (running) => !running);
    expect(await ask("GET", long)).toMatchObject({ state: "cancelled" });
  } finally {
    lab.kill("SIGTERM");
    await lab.status;
  }
});
