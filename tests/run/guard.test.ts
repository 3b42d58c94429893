import { afterAll, beforeAll, expect, test } from "vitest";
import { loadConfig } from "../../config/config.ts";
import { ensureGuard, guardLauncher } from "../../run/guard_launcher.ts";
import { HOME } from "../helpers/app.ts";
import { until } from "../helpers/lab.ts";
import { endProcess, listProcesses } from "../helpers/processes.ts";
import { ACCEPTED, programs, SUBMISSION } from "../helpers/programs.ts";
import { hasProgram, requires } from "../helpers/require.ts";

let folder: string;
let script: ReturnType<typeof programs>["script"];
let run: ReturnType<typeof programs>["run"];
let runHanging: ReturnType<typeof programs>["runHanging"];
beforeAll(async () => {
  folder = await Deno.makeTempDir();
  ({ script, run, runHanging } = programs(folder));
});
afterAll(() => Deno.remove(folder, { recursive: true }));

test("a program that cannot be started counts as unsent", async () => {
  const { path } = guardLauncher(loadConfig({ DATA_DIR: folder }, "/nowhere"));
  expect(await run("", { guard: path })).toMatchObject({ kind: "unsent" });
  const config = loadConfig({ DATA_DIR: folder, VRLSUBMIT_PATH: `${folder}/none` }, HOME);
  expect(await run("", { guard: await ensureGuard(config) })).toMatchObject({ kind: "unsent" });
  const moved = loadConfig({ DATA_DIR: folder }, `${folder}/gone`);
  expect(await run("", { guard: await ensureGuard(moved) })).toMatchObject({
    kind: "unsent",
    reason: expect.stringContaining("guard.ts"),
  });
  // As on a machine so slow that the time limit has passed before the start.
  expect(await run(ACCEPTED, { timeoutMs: -1 })).toMatchObject({ kind: "unsent" });
});

test("processes that vrlsubmit started are ended with it and cannot submit afterwards", async () => {
  const late = `${folder}/late-${crypto.randomUUID()}`;
  const child = `sh -c "trap '' TERM; sleep 20; echo late > ${late}" >/dev/null 2>&1 &`;
  // In its group: vrlsubmit hangs, succeeds, fails.
  expect(await runHanging(`${child} sleep 60`)).toMatchObject({ kind: "unknown", isOver: true });
  const outlived = (status: number) =>
    run(
      `sh -c "trap '' TERM; sleep 30; echo late > ${late}" & ${
        status === 0 ? ACCEPTED : ":"
      }; exit ${status}`,
    );
  expect(await outlived(0)).toMatchObject({ kind: "accepted", serials: [7] });
  expect(await outlived(1)).toMatchObject({ kind: "unknown", isOver: true });
  // A process that ended by itself shortly after may have submitted the job.
  expect(await run("sleep 0.2 & exit 1")).toMatchObject({ kind: "unknown", isOver: true });
  expect(await listProcesses()).not.toContainEqual(
    expect.objectContaining({ command: expect.stringContaining(late) }),
  );
  expect(await Deno.stat(late).catch(() => undefined)).toBeUndefined();
});

/** A unique sleep command of about five minutes. */
function uniqueSleep(): string {
  return `sleep 300.${crypto.getRandomValues(new Uint32Array(1))[0]}`;
}

async function find(command: string): Promise<number[]> {
  return (await listProcesses()).filter((one) => one.command === command).map(({ pid }) => pid);
}

requires("setsid", hasProgram("setsid"), "apt-get install util-linux").each([
  ["keeps the pipes open", "setsid SLEEP"],
  ["closes the pipes", "setsid SLEEP >/dev/null 2>&1 </dev/null"],
  ["clears its environment too", "env -i $(command -v setsid) SLEEP >/dev/null 2>&1 </dev/null"],
  ["has a parent that ends", "setsid sh -c 'SLEEP & exit' >/dev/null 2>&1 </dev/null"],
])("a process that leaves the group and %s makes the outcome unknown, and not over", async (_what, line) => {
  const sleep = uniqueSleep();
  try {
    for (const body of ["sleep 60", "exit 1", "exit 75"]) {
      const lines = `${line.replaceAll("SLEEP", sleep)} & sleep 1; ${body}`;
      // A short limit only for the hanging case, because a busy machine may reach it before the process has left the group.
      const outcome = await (body === "sleep 60" ? runHanging(lines, 4000) : run(lines));
      expect(outcome).toMatchObject({ kind: "unknown", isOver: false });
    }
    expect(await find(sleep)).toHaveLength(3);
  } finally {
    for (const pid of await find(sleep)) endProcess(pid, "SIGKILL");
  }
});

test("when the hub stops, a submission has some seconds to end by itself, then it is ended", async () => {
  const begun = `${folder}/begun`;
  const stop = new AbortController();
  const outcome = run(`: >'${begun}'; sleep 0.2; ${ACCEPTED}`, { signal: stop.signal });
  await until(() => Deno.stat(begun).then(() => true, () => false), Boolean);
  stop.abort();
  expect(await outcome).toMatchObject({ kind: "accepted" });
  const stopped = await run("sleep 60", { signal: AbortSignal.timeout(1) });
  expect(stopped).toMatchObject({
    kind: "unknown",
    isOver: true,
    reason: expect.stringContaining("is stopping"),
  });
});

test("if the guard is killed, the outcome is not over", async () => {
  const sleep = uniqueSleep();
  const outcome = run(`exec ${sleep}`);
  try {
    const [pid] = await until(() => find(sleep), (found) => found.length > 0);
    const { parent } = (await listProcesses()).find((one) => one.pid === pid)!;
    endProcess(parent, "SIGKILL");
    expect(await outcome).toMatchObject({ kind: "unknown", isOver: false });
  } finally {
    for (const pid of await find(sleep)) endProcess(pid, "SIGKILL");
  }
});

test("if the hub is killed, the submission is ended", async () => {
  const sleep = uniqueSleep();
  const config = loadConfig({
    DATA_DIR: folder,
    VRLSUBMIT_PATH: await script(`trap '' TERM; ${sleep}; exit 0`),
  }, HOME);
  const guard = await ensureGuard({ ...config, programEnv: { PATH: Deno.env.get("PATH")! } });
  const code = `
    import { runVrlsubmit } from ${JSON.stringify(`${HOME}/run/vrlsubmit.ts`)};
    await runVrlsubmit(${JSON.stringify(SUBMISSION)}, {
      guard: ${JSON.stringify(guard)},
      until: Date.now() + 120_000,
    });`;
  await Deno.writeTextFile(`${folder}/hub.ts`, code);
  const hub = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-config", `${folder}/hub.ts`],
    stdout: "null",
    stderr: "null",
  }).spawn();
  await until(() => find(sleep), (found) => found.length > 0);
  hub.kill("SIGKILL");
  expect((await hub.status).signal).toBe("SIGKILL");
  await until(() => find(sleep), (found) => found.length === 0);
  await until(
    async () => (await listProcesses()).filter(({ command }) => command.includes(config.vrlsubmitPath)),
    (found) => found.length === 0,
  );
});

requires("setsid", hasProgram("setsid"), "apt-get install util-linux")(
  "a process that leaves the group and never stops writing delays nothing",
  async () => {
    const word = crypto.randomUUID();
    const outcome = await run(`setsid yes ${word} & ${ACCEPTED}`);
    expect(outcome).toMatchObject({ kind: "accepted", serials: [7] });
    // Its pipe is closed afterwards.
    await until(() => find(`yes ${word}`), (found) => found.length === 0);
  },
);
