import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { loadConfig } from "../../config/config.ts";
import { HubError } from "../../errors.ts";
import { buildArguments, checkExecutable, parseSerials } from "../../run/vrlsubmit.ts";
import { ACCEPTED, programs, SUBMISSION } from "../helpers/programs.ts";

let folder: string;
let run: ReturnType<typeof programs>["run"];
beforeAll(async () => {
  folder = await Deno.makeTempDir();
  run = programs(folder).run;
});
afterAll(() => Deno.remove(folder, { recursive: true }));

test("arguments follow the contract, and a machine takes precedence over a pool", () => {
  expect(buildArguments({ ...SUBMISSION, machine: "m" })).toEqual([
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
  const { pool: _pool, ...nowhere } = SUBMISSION;
  expect(() => buildArguments(nowhere)).toThrow("machine or a pool");
});

test("no value becomes an option, and the argument list always has the same shape", () => {
  fc.assert(
    fc.property(
      fc.string(),
      fc.constantFrom("user", "os", "test", "packageUrl", "note", "pool"),
      (value, field) => {
        try {
          const args = buildArguments({ ...SUBMISSION, [field]: value });
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

test("parses serials and rejects any other line", () => {
  expect(parseSerials("Submission accepted as job(s) 1234 1235 \r")).toEqual([1234, 1235]);
  expect(parseSerials("Submission accepted as job(s) 7, 7")).toEqual([7]);
  for (
    const bad of [
      "",
      "Submission accepted as job(s) ",
      "Submission accepted as job(s) -5",
      "Submission accepted as job(s) 0",
      "Submission accepted as job(s) 1 x",
      "Submission accepted as job(s) 99999999999999999999",
      "x Submission accepted as job(s) 1",
    ]
  ) {
    expect(parseSerials(bad), bad).toBeUndefined();
  }
  fc.assert(fc.property(fc.string(), (text) => {
    const serials = parseSerials(`Submission accepted as job(s) ${text}`) ?? [];
    expect(serials.every((serial) => Number.isSafeInteger(serial) && serial > 0)).toBe(true);
  }));
});

test.each([
  ["the line of acceptance", ACCEPTED, { kind: "accepted", serials: [7] }],
  ["two lines of acceptance", `${ACCEPTED}; ${ACCEPTED}8`, { kind: "accepted", serials: [7, 78] }],
  ["a line of acceptance after a display of progress", `printf '10%%\\r100%%\\r'; ${ACCEPTED}`, {
    kind: "accepted",
    serials: [7],
  }],
  ["a line of acceptance without an end", `printf 'x\\nSubmission accepted as job(s) 7 8'`, {
    kind: "accepted",
    serials: [7, 8],
  }],
  ["half a line of acceptance, and a signal", `printf 'Submission accepted as job(s) 12'; kill -9 $$`, {
    kind: "unknown",
    isOver: true,
  }],
  ["a reason after much else", "yes noise | head -c 5000000 >&2; echo no such pool >&2; exit 3", {
    kind: "refused",
    reason: expect.stringMatching(/no such pool$/),
  }],
  ["no line of acceptance", "echo done", {
    kind: "unknown",
    isOver: true,
    reason: expect.stringContaining("done"),
  }],
  ["a plain exit status", "echo no such pool >&2; exit 3", {
    kind: "refused",
    exitCode: 3,
    reason: "no such pool",
  }],
  ["exit 75", "echo no route >&2; exit 75", { kind: "unsent", reason: "no route" }],
  ["exit 76", "echo cut off >&2; exit 76", { kind: "unknown", isOver: true }],
  ["acceptance, and an exit status after it", `${ACCEPTED}; exit 1`, { kind: "unknown", isOver: true }],
  ["a signal", "kill -9 $$", { kind: "unknown", isOver: true, reason: expect.stringContaining("SIGKILL") }],
  ["a signal, as a shell reports it", "sh -c 'kill -9 $$'; exit $?", { kind: "unknown", isOver: true }],
  ["acceptance, and a signal after it", `${ACCEPTED}; kill -9 $$`, { kind: "accepted", serials: [7] }],
])("the outcome of a program that ends with %s", async (_what, body, outcome) => {
  expect(await run(body)).toMatchObject(outcome);
});

test("the program gets only the environment of the settings", async () => {
  const { stderr } = await run("env | sort >&2; exit 1", { env: { ONLY: "it's this" } });
  expect(stderr).toContain("ONLY=it's this");
  expect(stderr.match(/^\w+=/gm)).toEqual(expect.not.arrayContaining(["HOME=", "DATABASE_URL="]));
  expect(stderr).not.toContain("chub-guard");
});

test("the program gets the hub's PATH, HOME and temporary folder, and the path of its Deno", () => {
  const config = loadConfig(
    { PATH: "/opt/bin", HOME: "/home/hub", TMPDIR: "", LDAP_ROLES: "", OTHER: "x" },
    "/hub",
  );
  expect(config.programEnv).toEqual({ PATH: "/opt/bin", HOME: "/home/hub", CHUB_DENO: Deno.execPath() });
});

test("an acceptance line counts even after 5 MB of other output, and kept output is bounded", async () => {
  for (const other of ["yes 'another line' | head -c 5000000", "head -c 5000000 /dev/zero | tr '\\0' x"]) {
    const outcome = await run(
      `echo first; ${other}; echo; echo 'Submission accepted as job(s) 9'; ${other}; echo; echo last`,
    );
    expect(outcome).toMatchObject({ kind: "accepted", serials: [9] });
    expect(outcome.stdout.length).toBeLessThan(1.1 * (1 << 20));
    expect(outcome.stdout).toMatch(/^first\n[^]*\n\[\d+ characters left out\]\n[^]*\nlast\n$/);
  }
});

test("a missing or non-executable program is a 503 that names the setting", async () => {
  await Deno.writeTextFile(`${folder}/plain`, "x", { mode: 0o644 });
  for (const path of [`${folder}/none`, `${folder}/plain`]) {
    await expect(checkExecutable(path)).rejects.toMatchObject({
      code: "SERVICE_UNAVAILABLE",
      message: expect.stringContaining("VRLSUBMIT_PATH"),
    });
  }
});
