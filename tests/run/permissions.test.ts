import { afterAll, beforeAll, expect, test } from "vitest";
import { loadConfig } from "../../config/config.ts";
import { allocatorEnv, HEAP_FLAGS, hubPermissions, toFlags } from "../../run/permissions.ts";
import { ensureGuard, guardLauncher } from "../../run/guard_launcher.ts";
import { HOME } from "../helpers/app.ts";

let folder: string;
beforeAll(async () => {
  folder = await Deno.makeTempDir();
});
afterAll(() => Deno.remove(folder, { recursive: true }));

const config = (more: Record<string, string> = {}) =>
  loadConfig({
    ...more,
    DATA_DIR: folder,
    DATABASE_URL: "postgres://chub@localhost/postgres?host=%2Ftmp%2Fno-socket",
    VRL_URL: "http://127.0.0.1:8600",
  }, HOME);

async function probe(code: string, more?: Record<string, string>): Promise<string> {
  const path = `${folder}/probe.ts`;
  await Deno.writeTextFile(
    path,
    `try { ${code}; console.log("allowed"); } catch (error) { console.log(error.name + ": " + error.message); }`,
  );
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", ...toFlags(hubPermissions(config(more))), path],
    cwd: HOME,
  }).output();
  return new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
}

test.each([
  ["read /etc/passwd", `Deno.readTextFileSync("/etc/passwd")`],
  ["run a shell", `new Deno.Command("/bin/sh", { args: ["-c", "true"] }).outputSync()`],
  ["run deno", `new Deno.Command(${JSON.stringify(Deno.execPath())}, { args: ["--version"] }).outputSync()`],
  ["run another program", `new Deno.Command("/usr/bin/env").outputSync()`],
  ["connect elsewhere", `await Deno.connect({ hostname: "127.0.0.1", port: 9 })`],
  ["fetch elsewhere", `await fetch("http://127.0.0.1:4999/")`],
  ["import from the network", `await import("http://127.0.0.1:9/x.ts")`],
  ["write into the project", `Deno.writeTextFileSync(${JSON.stringify(`${HOME}/main.ts`)}, "")`],
  [
    "write its own token",
    `Deno.writeTextFileSync(${
      JSON.stringify("TOKEN")
    }.replace("TOKEN", Deno.cwd()) + "/data/admin.token", "")`,
  ],
  ["read other variables", `Deno.env.get("AWS_SECRET_ACCESS_KEY")`],
])("under the hub's own flags nothing can %s", async (_what, code) => {
  const output = await probe(code);
  expect(output).not.toContain("allowed");
  expect(output).toMatch(/NotCapable|Requires|not capable|--no-remote|remote specifier/i);
});

test.each(["127.0.0.1", "::1"])("the hub may listen on HOST=%s", async (host) => {
  const code = `const { state } = Deno.permissions.querySync({ name: "net", host: ${
    JSON.stringify(host.includes(":") ? `[${host}]:8000` : `${host}:8000`)
  } }); if (state !== "granted") throw new Error(state)`;
  expect(await probe(code, { HOST: host })).toBe("allowed\n");
});

test("the hub may run only the launcher of vrlsubmit, and write only the database's socket and its spool", () => {
  const permissions = hubPermissions(config());
  expect(permissions.filter(({ flag }) => flag === "run").flatMap(({ values }) => values)).toEqual([
    guardLauncher(config()).path,
  ]);
  expect(permissions.filter(({ flag }) => flag === "write").flatMap(({ values }) => values)).toEqual([
    "/tmp/no-socket/.s.PGSQL.5432",
    `${folder}/spool`,
  ]);
  expect(permissions.every(({ reason }) => reason.length > 5)).toBe(true);
  expect(toFlags(permissions)).toEqual(
    expect.arrayContaining(["--no-prompt", "--no-remote", "--cached-only"]),
  );
});

test("through the launcher the hub can run only the program of VRLSUBMIT_PATH, whatever its arguments", async () => {
  const program = `${folder}/it's vrlsubmit`;
  await Deno.writeTextFile(program, '#!/bin/sh\necho "program $* $OTHER"\n', { mode: 0o755 });
  const own = { ...config(), vrlsubmitPath: program };
  const guard = await ensureGuard(own);
  const probe = `${folder}/other.ts`;
  await Deno.writeTextFile(
    probe,
    `for (const first of [[], ["/bin/sh"], ["--allow-run", "/bin/sh"]]) {
      const { stdout } = await new Deno.Command(${JSON.stringify(guard)}, {
        args: [...first, "mark", String(Date.now() + 60_000), "/bin/sh", "-c", "echo shell"],
        env: { VRLSUBMIT_PATH: "/bin/sh", CHUB_DENO: "/bin/sh", OTHER: "variable" },
        stdin: "piped",
        stdout: "piped",
        stderr: "null",
      }).spawn().output();
      console.log(new TextDecoder().decode(stdout).trim() || "nothing");
    }`,
  );
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", ...toFlags(hubPermissions(own)), probe],
    cwd: HOME,
  }).output();
  expect(new TextDecoder().decode(stderr)).toBe("");
  expect(new TextDecoder().decode(stdout).trim().split("\n")).toEqual([
    "program /bin/sh -c echo shell",
    // The argument in place of the time is not a time.
    "nothing",
    "nothing",
  ]);
});

test("LDAP adds permissions for its hosts and files only", () => {
  const flags = (env: Record<string, string>) =>
    hubPermissions(loadConfig({ DATA_DIR: folder, ...env }, HOME)).flatMap(({ flag, values }) =>
      values.map((value) => `${flag} ${value}`)
    );
  const plain = flags({});
  const more = flags({
    LDAP_URL: "ldaps://a.test ldap://b.test:1389",
    LDAP_STARTTLS: "true",
    LDAP_SEARCH_BASE: "dc=x",
    LDAP_CA_FILE: "/etc/ca.pem",
    LDAP_SERVICE_DN: "cn=x",
    LDAP_SERVICE_PASSWORD_FILE: "/etc/password",
  });
  expect(more.filter((flag) => !plain.includes(flag))).toEqual([
    "net a.test:636",
    "net b.test:1389",
    "read /etc/ca.pem",
    "read /etc/password",
  ]);
});

test("only the tasks test, faults and bench have all permissions", async () => {
  const { tasks } = JSON.parse(await Deno.readTextFile(`${HOME}/deno.json`)) as {
    tasks: Record<string, { command: string }>;
  };
  const open = Object.entries(tasks).filter(([, { command }]) => /\s-A\b|--allow-all/.test(command)).map((
    [name],
  ) => name);
  expect(open.sort()).toEqual(["bench", "faults", "test"]);
  for (
    const file of [
      "run/start.sh",
      "run/start.ts",
      "run/vrlsubmit",
      "run/guard_launcher.ts",
      "run/lab_process.ts",
      "run/lab/permissions.ts",
    ]
  ) {
    expect(await Deno.readTextFile(`${HOME}/${file}`)).not.toMatch(/\s-A\b|--allow-all/);
  }
});

test("every way to start the hub sets the same allocator variables", async () => {
  const script = await Deno.readTextFile(`${HOME}/run/start.sh`);
  const exec = /exec env ([^]*?) "\$CHUB_DENO" run \$hub main\.ts/.exec(script)![1]!;
  const variables = Object.fromEntries(
    [...exec.matchAll(/(\w+)="\$\{\1:-(\d+)\}"/g)].map(([, name, value]) => [name, value]),
  );
  expect(variables).toEqual(allocatorEnv({}));
  expect(allocatorEnv({ MALLOC_ARENA_MAX: "4" })).toEqual({ ...variables, MALLOC_ARENA_MAX: "4" });
});

test("with the hub's flags V8 does not mark memory in separate tasks, which would block network polling", async () => {
  const path = `${folder}/garbage.ts`;
  // Keeps many objects and replaces them many times.
  await Deno.writeTextFile(
    path,
    `const kept = Array.from({ length: 2e5 }, (_, at) => ({ at, list: [at] }));
    for (let turn = 0; turn < 900; turn++) {
      for (let at = 0; at < 10_000; at++) kept[(at * 7919 + turn) % kept.length] = { at, list: [at] };
      await new Promise((resolve) => setTimeout(resolve, 0));
    }`,
  );
  const traced = async (flags: string) => {
    const { stdout } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--quiet", `${flags},--trace-gc`, path],
      cwd: HOME,
    }).output();
    return new TextDecoder().decode(stdout);
  };
  const [own, usual] = await Promise.all([
    traced(HEAP_FLAGS),
    traced(HEAP_FLAGS.replace(",--no-incremental-marking-task", "")),
  ]);
  expect(own).toContain("finalize incremental marking");
  expect(own).not.toContain("incremental marking via task");
  expect(usual).toContain("incremental marking via task");
});
