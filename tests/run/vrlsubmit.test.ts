import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { loadConfig } from "../../config.ts";
import { HubError } from "../../errors.ts";
import {
  buildArguments,
  checkExecutable,
  parseSerials,
  runVrlsubmit,
  type Submission,
} from "../../run/vrlsubmit.ts";

const submission: Submission = {
  server: "lab:80",
  user: "chub",
  os: "linux",
  test: "calc",
  packageUrl: "file:///drop/p/SW_1_p.tgz",
  note: "n",
  report: "none",
  pool: "linux",
};
let folder: string;
beforeAll(async () => {
  folder = await Deno.makeTempDir();
});
afterAll(() => Deno.remove(folder, { recursive: true }));

async function script(body: string): Promise<string> {
  const path = `${folder}/${crypto.randomUUID()}`;
  await Deno.writeTextFile(path, `#!/bin/sh\n${body}\n`, { mode: 0o755 });
  return path;
}

test("arguments are as the contract says; a machine wins over a pool", () => {
  expect(buildArguments({ ...submission, machine: "m" })).toEqual([
    ...[
      "-s",
      "lab:80",
      "-u",
      "chub",
      "-o",
      "linux",
      "-t",
      "calc",
      "-z",
      "file:///drop/p/SW_1_p.tgz",
      "-n",
      "n",
      "-r",
      "none",
      "-m",
      "m",
    ],
  ]);
  const { pool: _pool, ...nowhere } = submission;
  expect(() => buildArguments(nowhere)).toThrow("machine or a pool");
});

test("no value becomes an option, and the list has always the same shape", () => {
  fc.assert(
    fc.property(
      fc.string(),
      fc.constantFrom("user", "os", "test", "packageUrl", "note", "pool"),
      (value, field) => {
        try {
          const args = buildArguments({ ...submission, [field]: value });
          expect(args).toHaveLength(16);
          expect(
            args.filter((_, at) => at % 2 === 1).every((one) => !one.startsWith("-") && !/\p{Cc}/u.test(one)),
          ).toBe(true);
        } catch (error) {
          expect(error).toBeInstanceOf(HubError);
          expect((error as HubError).message).toContain(field);
        }
      },
    ),
  );
});

test("serials are read, and nothing else is taken for them", () => {
  expect(parseSerials("hello\nSubmission accepted as job(s) 1234 1235 \nbye")).toEqual([1234, 1235]);
  for (
    const bad of [
      "",
      "Submission accepted as job(s) ",
      "Submission accepted as job(s) -5",
      "Submission accepted as job(s) 0",
      "Submission accepted as job(s) 1 x",
      "Submission accepted as job(s) 99999999999999999999",
    ]
  ) {
    expect(() => parseSerials(bad), bad).toThrow(HubError);
  }
  fc.assert(fc.property(fc.string(), (text) => {
    try {
      expect(parseSerials(text).every((serial) => Number.isSafeInteger(serial) && serial > 0)).toBe(true);
    } catch (error) {
      expect(error).toBeInstanceOf(HubError);
    }
  }));
});

test("what the binary does is told apart", async () => {
  const run = (path: string, extra = {}) =>
    runVrlsubmit(submission, { path, timeoutMs: 30_000, env: {}, ...extra });
  expect(await run(await script("echo 'Submission accepted as job(s) 7'"))).toMatchObject({
    kind: "accepted",
    serials: [7],
  });
  expect(await run(await script("echo no such pool >&2; exit 3"))).toMatchObject({
    kind: "refused",
    exitCode: 3,
    reason: "no such pool",
  });
  expect(await run(await script("echo done"))).toMatchObject({ kind: "unclear" });
  expect(await run(await script("sleep 60"), { timeoutMs: 200 })).toMatchObject({ kind: "timeout" });
  expect(await run(await script("trap '' TERM; while :; do :; done"), { timeoutMs: 200 })).toMatchObject({
    kind: "timeout",
  });
  expect(await run(await script("sleep 60 & echo 'Submission accepted as job(s) 8'"))).toMatchObject({
    kind: "accepted",
    serials: [8],
  });
  const env = await run(await script("env | sort >&2; exit 1"), { env: { ONLY: "this" } });
  expect(env.stderr).toContain("ONLY=this");
  expect(env.stderr).not.toContain("CHUB");
});

test("the program gets the hub's PATH, HOME and temporary folder, and the path of its Deno", () => {
  const config = loadConfig(
    { PATH: "/opt/bin", HOME: "/home/hub", TMPDIR: "", LDAP_ROLES: "", OTHER: "x" },
    "/hub",
  );
  expect(config.programEnv).toEqual({ PATH: "/opt/bin", HOME: "/home/hub", CHUB_DENO: Deno.execPath() });
});

test("output is capped, however much there is", async () => {
  const path = await script(
    "head -c 5000000 /dev/zero | tr '\\0' x; echo; echo 'Submission accepted as job(s) 9'",
  );
  const outcome = await runVrlsubmit(submission, { path, timeoutMs: 120_000, env: {} });
  expect(outcome.stdout.length).toBe(1 << 20);
  expect(outcome.kind).toBe("unclear");
});

test("a binary that is missing or cannot be executed is a 503 that says what to set", async () => {
  await Deno.writeTextFile(`${folder}/plain`, "x", { mode: 0o644 });
  for (const path of [`${folder}/none`, `${folder}/plain`]) {
    await expect(checkExecutable(path)).rejects.toMatchObject({
      code: "SERVICE_UNAVAILABLE",
      message: expect.stringContaining("VRLSUBMIT_PATH"),
    });
  }
});
