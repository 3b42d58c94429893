import { afterEach, beforeEach, expect, test } from "vitest";
import { HOME } from "../helpers/app.ts";

let folder: string;
beforeEach(async () => {
  folder = await Deno.makeTempDir({ prefix: "chub-install-" });
  await Deno.mkdir(`${folder}/a project/run`, { recursive: true });
  for (const name of ["install.sh", "deno_path.sh"]) {
    await Deno.copyFile(`${HOME}/run/${name}`, `${folder}/a project/run/${name}`);
  }
  await Deno.writeTextFile(`${folder}/a project/deno.lock`, "{}");
});
afterEach(() => Deno.remove(folder, { recursive: true }));

/** Runs the script with a fake `deno` that executes `body`, a line of shell. */
async function install(body: string): Promise<{ code: number; text: string; asked: string }> {
  await Deno.writeTextFile(
    `${folder}/deno`,
    `#!/bin/sh\n[ "$1" = eval ] && echo "$0" && exit\necho "$@" >>"${folder}/asked"\n${body}\n`,
    {
      mode: 0o755,
    },
  );
  const { code, stdout, stderr } = await new Deno.Command("sh", {
    args: [`${folder}/a project/run/install.sh`],
    env: { CHUB_DENO: `${folder}/deno` },
  }).output();
  const decoder = new TextDecoder();
  return {
    code,
    text: decoder.decode(stdout) + decoder.decode(stderr),
    asked: await Deno.readTextFile(`${folder}/asked`).catch(() => ""),
  };
}

const PACKAGES = `i=0; while [ $i -lt 35 ]; do echo "Initialize p@$i" >&2; i=$((i + 1)); done`;
const MADE = "mkdir -p node_modules/.deno";

test("the first installation prints one line, and a second does nothing", async () => {
  const first = await install(`${PACKAGES}; ${MADE}; echo 'Installed 35 packages in 2s'`);
  expect(first).toEqual({
    code: 0,
    text: "Installing dependencies into node_modules (once) ... 35 packages in 2s\n",
    asked: "install --frozen\n",
  });
  expect(await install("exit 1")).toEqual({ code: 0, text: "", asked: "install --frozen\n" });
});

test("a changed lock file causes a new installation", async () => {
  await install(MADE);
  await Deno.utime(`${folder}/a project/deno.lock`, new Date(), new Date(Date.now() + 5000));
  expect((await install("true")).asked).toBe("install --frozen\ninstall --frozen\n");
});

test("a failure prints the reason and exits, or continues with the installed dependencies", async () => {
  const failing = `${PACKAGES}; echo 'error: the registry is unreachable' >&2; exit 1`;
  const first = await install(failing);
  expect(first).toMatchObject({
    code: 1,
    text: expect.stringMatching(/ failed:\nerror: the registry is unreachable\n$/),
  });
  await install(MADE);
  await Deno.utime(`${folder}/a project/deno.lock`, new Date(), new Date(Date.now() + 5000));
  const later = await install(failing);
  expect(later.code).toBe(0);
  expect(later.text).toMatch(/unreachable\nContinuing with the dependencies that are in node_modules\.\n$/);
});

test("a failed or interrupted installation is repeated", async () => {
  expect((await install(`${MADE}; exit 1`)).code).toBe(1);
  expect((await install(`${MADE}; kill -KILL $PPID; exit 1`)).code).not.toBe(0);
  expect(await install(MADE)).toMatchObject({ code: 0, asked: "install --frozen\n".repeat(3) });
});
