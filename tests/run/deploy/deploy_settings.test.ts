import { afterAll, beforeAll, expect } from "vitest";
import { CODE } from "../../../db/core/migrate.ts";
import { HOME } from "../../helpers/app.ts";
import { hasProgram, requires } from "../../helpers/require.ts";

const test = requires("curl", hasProgram("curl"), "apt-get install curl");

/** Reads settings files by systemd's rules. */
const GENERATOR = "/usr/lib/systemd/user-environment-generators/30-systemd-environment-d-generator";
const hasGenerator = await Deno.stat(GENERATOR).then(() => true, () => false);

let folder: string;
beforeAll(async () => {
  folder = await Deno.makeTempDir({ prefix: "chub-settings-" });
  await Deno.mkdir(`${folder}/bin`);
  await Deno.symlink(Deno.execPath(), `${folder}/bin/deno`);
});
afterAll(() => Deno.remove(folder, { recursive: true }));

/** Settings lines with the value of the last one, or undefined if the lines are rejected. */
const LINES: [string, string | undefined][] = [
  ["# a comment\n\n   # another; with 'quotes\nX=1", "1"],
  ["X=postgres://u:p%40w@h:5432/db,x=+1-2", "postgres://u:p%40w@h:5432/db,x=+1-2"],
  ["X='file:///a b=c;#&?*~'", "file:///a b=c;#&?*~"],
  ['X="two words, it\'s"', "two words, it's"],
  ["X=1\nX=2", "2"],
  ["X=two words", undefined],
  ["X=8000 # the port", undefined],
  ["X=a#b", undefined],
  ["X=~/data", undefined],
  ["X=a;b", undefined],
  ["X=$HOME", undefined],
  ['X="$HOME"', undefined],
  ['X="a\\b"', undefined],
  ["X='a\\b'", undefined],
  ["X='a'b", undefined],
  ["X='a", undefined],
  ["X=1 ", undefined],
  ["X = 1", undefined],
  ["export X=1", undefined],
  ["; comment\nX=1", undefined],
  ["# goes on \\\nX=1", undefined],
  ["X=1\r", undefined],
  ["2X=1", undefined],
];

test.each(LINES)(
  "settings of %j are %j to the shell and to systemd, or refused by line",
  async (text, value) => {
    const settings = `${folder}/lines.conf`;
    await Deno.writeTextFile(settings, `${text}\n`);
    await Deno.mkdir(`${folder}/empty`, { recursive: true });
    await Deno.writeTextFile(`${folder}/empty/main.ts`, "");
    // Ends after the check of the settings, because there is no such user.
    const { code, stdout, stderr } = await new Deno.Command("sh", {
      args: [`${HOME}/run/deploy/deploy.sh`, `${folder}/empty`],
      env: {
        PATH: `${folder}/bin:${Deno.env.get("PATH")}`,
        CHUB_PREFIX: `${folder}/opt`,
        CHUB_ENV: settings,
        CHUB_USER: "no-such-user",
        CHUB_RESTART: "true",
      },
    }).output();
    const output = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
    expect(code).toBe(1);
    if (value === undefined) {
      expect(output).toMatch(/^deploy: .*lines\.conf: line \d+ .*; nothing was changed\n$/);
      // Values may be secret and must not be printed.
      expect(output).not.toContain("two words");
      return;
    }
    expect(output).toContain("there is no user no-such-user");
    const sh = await new Deno.Command("sh", { args: ["-c", `. "$1"; printf %s "$X"`, "sh", settings] })
      .output();
    expect(new TextDecoder().decode(sh.stdout)).toBe(value);
    if (!hasGenerator) return;
    await Deno.mkdir(`${folder}/config/environment.d`, { recursive: true });
    await Deno.copyFile(settings, `${folder}/config/environment.d/x.conf`);
    const systemd = await new Deno.Command(GENERATOR, {
      env: { XDG_CONFIG_HOME: `${folder}/config`, HOME: "/nowhere" },
      clearEnv: true,
    }).output();
    const line = new TextDecoder().decode(systemd.stdout).split("\n").find((one) => one.startsWith("X="));
    expect(line?.slice(2).replace(/^"(.*)"$/, "$1")).toBe(value);
  },
);

test("deploy.sh creates the same folders as the service", async () => {
  const unit = await Deno.readTextFile(`${HOME}/run/deploy/chub.service`);
  const script = await Deno.readTextFile(`${HOME}/run/deploy/deploy.sh`);
  const [, data] = /CHUB_DATA:-([^}]+)/.exec(script)!;
  const [, cache] = /CHUB_CACHE:-([^}]+)/.exec(script)!;
  expect(unit).toContain(` DATA_DIR=${data} DENO_DIR=${cache} `);
  expect(unit).toContain(`StateDirectory=${data!.replace("/var/lib/", "")}\n`);
  expect(unit).toContain(`CacheDirectory=${cache!.replace("/var/cache/", "")}\n`);
});

test("the code number of a version is read where the version has it, also before 0.1.0", async () => {
  const script = await Deno.readTextFile(`${HOME}/run/deploy/deploy.sh`);
  const codeOf = /^code_of\(\).*$/m.exec(script)![0];
  const folder = await Deno.makeTempDir();
  await Deno.mkdir(`${folder}/db`);
  await Deno.writeTextFile(`${folder}/db/migrate.ts`, "export const CODE = 7;\n");
  for (const [version, code] of [[HOME, String(CODE)], [folder, "7"]] as const) {
    const { stdout } = await new Deno.Command("sh", {
      args: ["-c", `${codeOf}\ncode_of "$1"`, "sh", version],
    }).output();
    expect(new TextDecoder().decode(stdout).trim()).toBe(code);
  }
  await Deno.remove(folder, { recursive: true });
});
