import { Buffer } from "node:buffer";
import { gunzipSync, gzipSync } from "node:zlib";
import tar from "tar-stream";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readTgz, writeTgz } from "../../run/lab/unpack.ts";
import { loadConfig } from "../../config/config.ts";
import { ensureGuard } from "../../run/guard_launcher.ts";
import { startLab } from "../../run/lab_process.ts";
import { runVrlsubmit, type Submission } from "../../run/vrlsubmit.ts";
import { readResults } from "../../formats/mod.ts";
import { HOME } from "../helpers/app.ts";
import { freePort, type TestLab, testLab, until } from "../helpers/lab.ts";
import { endProcess } from "../helpers/processes.ts";

const NAME = "calc_main_Release_Linux_AMD64_compiler";
let lab: TestLab;
beforeAll(async () => {
  lab = await testLab();
});
afterAll(() => lab.stop());

// deno-lint-ignore no-explicit-any -- the lab's answers are untyped
type Answer = any;

function submission(changelist: number, extra: Partial<Submission> = {}): Submission {
  return {
    server: lab.listen,
    user: "chub",
    os: "linux",
    test: "calc",
    packageUrl: `file://${lab.drop}/${NAME}/SW_${changelist}_${NAME}.tgz`,
    note: "[chub job 1.1]",
    report: "none",
    pool: "linux",
    ...extra,
  };
}

test("its folder and log are private to its user, even if they were accessible to all before", async () => {
  const data = await Deno.makeTempDir({ prefix: "chub-lab-open-" });
  await Deno.writeTextFile(`${data}/lab.token`, "chub_lab_0123456789abcdef0123456789abcdef");
  await Deno.mkdir(`${data}/drop`);
  await Deno.mkdir(`${data}/lab`, { mode: 0o755 });
  await Deno.writeTextFile(`${data}/lab/lab.log`, "", { mode: 0o644 });
  await Deno.chmod(`${data}/lab/lab.log`, 0o644);
  const opened = await startLab({ home: HOME, data, listen: `127.0.0.1:${freePort()}` });
  try {
    const modeOf = async (path: string) => ((await Deno.stat(path)).mode! & 0o777).toString(8);
    for (const folder of [data, lab.data]) {
      expect([await modeOf(`${folder}/lab`), await modeOf(`${folder}/lab/lab.log`)]).toEqual(["700", "600"]);
    }
  } finally {
    await opened.stop();
    await Deno.remove(data, { recursive: true });
  }
});

async function submit(what: Submission) {
  const config = loadConfig(
    { ...Deno.env.toObject(), DATA_DIR: lab.data, VRL_TOKEN_FILE: lab.tokenFile },
    HOME,
  );
  return await runVrlsubmit(what, { guard: await ensureGuard(config), until: Date.now() + 120_000 });
}

async function read(path: string): Promise<Answer> {
  return await (await fetch(lab.url + path)).json();
}

async function over(serial: number): Promise<Answer> {
  return await until(
    () => read(`/jobs/${serial}`),
    (job: Answer) => !["queued", "running"].includes(job.state),
  );
}

test("a build is submitted, unpacked and run; the miscompile appears at 1085 and not at 1080", async () => {
  const outcomes: number[] = [];
  for (const changelist of [1080, 1085]) {
    const outcome = await submit(submission(changelist));
    expect(outcome, outcome.stderr).toMatchObject({ kind: "accepted" });
    const [serial] = (outcome as { serials: number[] }).serials;
    const job = await over(serial!);
    expect(job).toMatchObject({ state: "done", test: "calc", pool: "linux" });
    const artifact = await fetch(`${lab.url}/jobs/${serial}/artifacts/results.xml`);
    const read = await Array.fromAsync(readResults("results.xml", artifact.body!));
    const failed = read.flatMap(({ items }) => items).filter((item) =>
      item.kind === "result" && item.record.outcome === "failed" && !item.record.case.endsWith("flaky")
    );
    outcomes.push(failed.length);
  }
  expect(outcomes).toEqual([0, 4]);
});

test("the list continues from its cursor and can be searched by note", async () => {
  const { jobs, nextCursor } = await read("/jobs?test=calc&limit=1");
  expect(jobs).toHaveLength(1);
  const rest = await read(`/jobs?test=calc&updatedAfter=${nextCursor}`);
  expect(rest.jobs.some((job: Answer) => job.serial === jobs[0].serial)).toBe(false);
  expect((await read(`/jobs?note=${encodeURIComponent("[chub job 1.1]")}`)).jobs.length).toBeGreaterThan(0);
  expect((await read("/jobs?note=nobody")).jobs).toEqual([]);
});

test("a lossy machine loses its jobs, and unknown tests, pools and systems are refused with a reason", async () => {
  const lost = await submit(submission(1080, { machine: "lab-lossy" }));
  expect((await over((lost as { serials: number[] }).serials[0]!)).state).toBe("lost");
  for (const wrong of [{ test: "nope" }, { pool: "nope" }, { os: "plan9" }]) {
    const outcome = await submit(submission(1080, wrong));
    expect(outcome.kind).toBe("refused");
    expect((outcome as { reason: string }).reason).toMatch(/nope|plan9/);
  }
});

test("a build that is missing or outside of the drop fails the job with a reason", async () => {
  for (
    const packageUrl of [
      "file:///etc/passwd",
      `file://${lab.drop}/${NAME}/SW_1_${NAME}.tgz`,
      `file://${lab.drop}/../lab.token`,
    ]
  ) {
    const outcome = await submit(submission(1080, { packageUrl }));
    const job = await over((outcome as { serials: number[] }).serials[0]!);
    expect(job.state).toBe("failed");
    expect(job.reason).toBeTypeOf("string");
  }
});

test("writes require the token, and requests for another host name are refused", async () => {
  const response = await fetch(`${lab.url}/jobs`, {
    method: "POST",
    body: "{}",
    headers: { authorization: "Bearer wrong" },
  });
  await response.body?.cancel();
  expect(response.status).toBe(401);
  const connection = await Deno.connect({ hostname: "127.0.0.1", port: Number(new URL(lab.url).port) });
  await connection.write(
    new TextEncoder().encode("GET /jobs HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n"),
  );
  const buffer = new Uint8Array(100);
  const count = await connection.read(buffer);
  connection.close();
  expect(new TextDecoder().decode(buffer.subarray(0, count ?? 0))).toContain("421");
});

test("after kill -9 the lab has every acknowledged job and reuses no serial", async () => {
  const before = (await read("/jobs?limit=1000")).jobs;
  const { pid } = JSON.parse(await Deno.readTextFile(`${lab.data}/lab/lab.lock`));
  endProcess(pid, "SIGKILL");
  await until(
    () =>
      fetch(`${lab.url}/health`).then((response) => response.body?.cancel()).then(() => true, () => false),
    (up) => !up,
  );
  // The kernel releases the lock shortly after the port.
  await until(() => startLab({ home: HOME, data: lab.data, listen: lab.listen }), (again) => !again.adopted);
  const after = (await read("/jobs?limit=1000")).jobs;
  expect(after.map((job: Answer) => job.serial)).toEqual(before.map((job: Answer) => job.serial));
  const outcome = await submit(submission(1080));
  const newest = Math.max(...before.map((job: Answer) => job.serial));
  expect((outcome as { serials: number[] }).serials[0]).toBeGreaterThan(newest);
  expect((await startLab({ home: HOME, data: lab.data, listen: lab.listen })).adopted).toBe(true);
});

test("an archive with a link, an absolute path, `..` or too much content is refused", async () => {
  const good = await writeTgz([{ path: "a/b.txt", content: "hello" }]);
  expect((await readTgz(good, 10_000)).map((file) => file.path)).toEqual(["a/b.txt"]);
  await expect(readTgz(good, 100)).rejects.toThrow("unpacks to more");
  for (const path of ["/etc/x", "../x", "a/../../x"]) {
    await expect(readTgz(await writeTgz([{ path, content: "" }]), 10_000)).rejects.toThrow("path");
  }
  const pack = tar.pack();
  pack.entry({ name: "link", type: "symlink", linkname: "/etc/passwd" });
  pack.finalize();
  const link = gzipSync(Buffer.concat(await Array.fromAsync(pack)));
  await expect(readTgz(link, 10_000)).rejects.toThrow("link");
  const plain = gunzipSync(good);
  await expect(readTgz(gzipSync(plain.subarray(0, 515)), 10_000)).rejects.toThrow();
  await expect(readTgz(good.subarray(0, good.length - 12), 10_000)).rejects.toThrow();
  expect(await writeTgz([{ path: "a/b.txt", content: "hello" }])).toEqual(good);
});

test("the suite runs in a folder whose path contains characters special in URLs", async () => {
  const folder = `${lab.data}/50% #1 ?`;
  await Deno.mkdir(folder);
  await Deno.writeTextFile(`${folder}/compiler.js`, "export function compile() { throw new Error(); }");
  await Deno.copyFile(`${HOME}/run/lab/sample/suite.ts`, `${folder}/suite.ts`);
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "--quiet", "--no-prompt", "--no-config", "--allow-read=.", "--allow-write=results.xml"],
      ...["--allow-env=LAB_SERIAL", `${HOME}/run/lab/sample/run_suite.ts`, "compiler.js", "suite.ts"],
    ],
    cwd: folder,
  }).output();
  expect(success, new TextDecoder().decode(stderr)).toBe(true);
  expect(await Deno.readTextFile(`${folder}/results.xml`)).toContain("<testsuite");
});

test("a build in a drop behind a symbolic link is run", async () => {
  const data = await Deno.makeTempDir({ prefix: "chub-lab-" });
  await Deno.symlink(lab.drop, `${data}/drop`);
  await Deno.copyFile(`${lab.data}/lab.token`, `${data}/lab.token`);
  const listen = `127.0.0.1:${freePort()}`;
  const linked = await startLab({ home: HOME, data, listen });
  try {
    const packageUrl = `file://${data}/drop/${NAME}/SW_1080_${NAME}.tgz`;
    const outcome = await submit(submission(1080, { server: listen, packageUrl }));
    expect(outcome, outcome.stderr).toMatchObject({ kind: "accepted" });
    const job = await until(
      async () => (await (await fetch(`${linked.url}/jobs?limit=1`)).json()).jobs[0],
      (found: Answer) => !["queued", "running"].includes(found.state),
    );
    expect(job).toMatchObject({ state: "done", reason: null });
  } finally {
    await linked.stop();
    await Deno.remove(data, { recursive: true });
  }
});
