import { afterAll, beforeAll, expect } from "vitest";
import { CODE } from "../../../db/core/migrate.ts";
import { HOME } from "../../helpers/app.ts";
import { freePort } from "../../helpers/lab.ts";
import { endProcess } from "../../helpers/processes.ts";
import { type TestDatabase, testDatabase } from "../../helpers/postgres.ts";
import { hasProgram, requires } from "../../helpers/require.ts";

const test = requires("curl", hasProgram("curl"), "apt-get install curl");

let folder: string;
let database: TestDatabase;
const port = freePort();
const url = `http://127.0.0.1:${port}/api/health/ready`;

beforeAll(async () => {
  folder = await Deno.makeTempDir({ prefix: "chub-deploy-" });
  database = await testDatabase();
  await Deno.mkdir(`${folder}/bin`);
  // Like systemd: ends the running hub and starts the current version. Returns once that hub is ready or has ended, so that a
  // busy machine causes no timeout.
  await Deno.writeTextFile(
    `${folder}/bin/restart`,
    `#!/bin/sh
[ -f ${folder}/pid ] && kill "$(cat ${folder}/pid)" 2>/dev/null && while kill -0 "$(cat ${folder}/pid)" 2>/dev/null; do sleep 0.05; done
set -a && . ${folder}/env && set +a
cd ${folder}/opt/current || exit 1
sh run/start.sh >${folder}/log 2>&1 </dev/null &
echo $! >${folder}/pid
while kill -0 $! 2>/dev/null && ! curl -fsS -m 5 -o /dev/null ${url} 2>/dev/null; do sleep 0.1; done
`,
    { mode: 0o755 },
  );
  // In a folder from which every user can run it.
  await Deno.copyFile(Deno.execPath(), `${folder}/bin/deno`);
  await Deno.chmod(folder, 0o755);
  await Deno.writeTextFile(
    `${folder}/env`,
    `PORT=${port}\nDATA_DIR=${folder}/data\nDATABASE_URL='${database.url}'\nVRL_URL=http://127.0.0.1:9\n`,
  );
});
afterAll(async () => {
  const pid = Number(await Deno.readTextFile(`${folder}/pid`).catch(() => ""));
  if (pid > 0) endProcess(pid);
  await database.drop();
  await Deno.remove(folder, { recursive: true });
});

/** A copy of this version, changed by `change`. */
async function version(
  name: string,
  change: (path: string) => Promise<void> = async () => {},
): Promise<string> {
  const path = `${folder}/${name}`;
  const { success } = await new Deno.Command("sh", {
    args: [
      "-c",
      `mkdir "$2" && cd "$1" && cp -R *.ts deno.json deno.lock auth analysis config cron db routers run schemas formats scrapers "$2"`,
      "sh",
      HOME,
      path,
    ],
  }).output();
  expect(success).toBe(true);
  await change(path);
  return path;
}

async function replace(path: string, from: string, to: string): Promise<void> {
  const text = await Deno.readTextFile(path);
  expect(text).toContain(from);
  await Deno.writeTextFile(path, text.replace(from, to));
}

async function deploy(
  source: string,
  env: Record<string, string> = {},
): Promise<{ code: number; text: string }> {
  const { code, stdout, stderr } = await new Deno.Command("sh", {
    args: [`${HOME}/run/deploy/deploy.sh`, source],
    env: {
      PATH: `${folder}/bin:${Deno.env.get("PATH")}`,
      CHUB_PREFIX: `${folder}/opt`,
      CHUB_ENV: `${folder}/env`,
      CHUB_USER: "root",
      CHUB_HOSTS: "hub.example.org chub",
      CHUB_RESTART: `${folder}/bin/restart`,
      CHUB_READY: url,
      CHUB_CACHE: `${folder}/cache`,
      CHUB_WAIT: "120",
      ...env,
    },
  }).output();
  const decoder = new TextDecoder();
  return { code, text: decoder.decode(stdout) + decoder.decode(stderr) };
}

/** CHUB_WAIT for versions that never become ready. */
const BROKEN = { CHUB_WAIT: "30" };

const isReady = async () => {
  const response = await fetch(url).catch(() => undefined);
  await response?.body?.cancel();
  return response?.status === 200;
};

test(
  "a version is installed next to the others and goes live; one that does not become ready is rolled back",
  async () => {
    const good = await deploy(await version("good"));
    expect([good.code, good.text]).toEqual([0, expect.stringContaining("is ready")]);
    expect(await isReady()).toBe(true);
    expect(await Deno.readTextFile(`${folder}/env`)).toMatch(/\nALLOWED_HOSTS="hub.example.org chub"\n$/);
    const named = await new Deno.Command("curl", {
      args: ["-s", "-o", "/dev/null", "-w", "%{http_code}", "-H", "Host: hub.example.org", url],
    }).output();
    expect(new TextDecoder().decode(named.stdout)).toBe("200");
    const first = await Deno.readLink(`${folder}/opt/current`);

    const broken = await deploy(
      await version(
        "broken",
        (path) => replace(`${path}/main.ts`, "const server = startListening();", "Deno.exit(3);"),
      ),
      BROKEN,
    );
    expect([broken.code, broken.text]).toEqual([1, expect.stringContaining(`${first} runs again`)]);
    expect(await Deno.readLink(`${folder}/opt/current`)).toBe(first);
    expect(await isReady()).toBe(true);

    const unmigrated = await deploy(
      await version(
        "unmigrated",
        (path) => replace(`${path}/db/migrations/0002_auth.sql`, "-- oldest code: 1", ""),
      ),
    );
    expect([unmigrated.code, unmigrated.text]).toEqual([1, expect.stringContaining("still runs")]);
    expect(await Deno.readLink(`${folder}/opt/current`)).toBe(first);

    const oneWay = await deploy(
      await version("one-way", async (path) => {
        await Deno.writeTextFile(
          `${path}/db/migrations/9999_one_way.sql`,
          `-- oldest code: ${CODE + 1}\nselect 1;\n`,
        );
        await replace(`${path}/db/core/migrate.ts`, '"0002_auth"', '"9999_one_way", "0002_auth"');
        await replace(
          `${path}/db/core/migrate.ts`,
          `export const CODE = ${CODE};`,
          `export const CODE = ${CODE + 1};`,
        );
        await replace(`${path}/main.ts`, "const server = startListening();", "Deno.exit(3);");
      }),
      BROKEN,
    );
    expect([oneWay.code, oneWay.text]).toEqual([1, expect.stringContaining("going back is refused")]);

    const old = await new Deno.Command("sh", {
      args: ["-c", `set -a; . ${folder}/env; cd ${first} && sh run/start.sh`],
      env: { PATH: `${folder}/bin:${Deno.env.get("PATH")}` },
    }).output();
    expect(old.code).toBe(1);
    expect(new TextDecoder().decode(old.stderr)).toContain(
      `requires code version ${CODE + 1} or newer; this is code ${CODE}`,
    );
  },
  600_000,
);

const asRoot = requires(
  "curl, as root",
  hasProgram("curl") && hasProgram("setsid") && Deno.uid() === 0,
  "apt-get install curl util-linux, and run the tests as root",
);

asRoot(
  "a first installation becomes ready with its own user and settings that only root can read",
  async () => {
    const first = await testDatabase();
    const [state, port] = [`${folder}/first`, freePort()];
    const address = `http://127.0.0.1:${port}/api/health/ready`;
    await Deno.mkdir(state);
    await first.sql`drop schema public cascade`;
    await first.sql`create schema public`;
    // DATA_DIR is set only in the unit.
    await Deno.writeTextFile(
      `${state}/env`,
      `# settings\nPORT=${port}\nDATABASE_URL='${first.url}'\nVRL_URL=http://127.0.0.1:9\nDROP_URLS='one=file:///a two=file:///b'\n`,
      { mode: 0o600 },
    );
    // Like systemd: the user, and only the environment of the unit and the file.
    await Deno.writeTextFile(
      `${state}/restart`,
      `#!/bin/sh
[ ! -f ${state}/pid ] || kill -- "-$(cat ${state}/pid)"
while curl -s -o /dev/null ${address}; do sleep 0.1; done
cd ${state}/opt/current || exit 1
set -a && . ${state}/env && set +a
DATA_DIR=${state}/var/data DENO_DIR=${state}/var/cache setsid su -s /bin/sh nobody -c 'exec sh run/start.sh' >${state}/log 2>&1 </dev/null &
echo $! >${state}/pid
`,
      { mode: 0o755 },
    );
    const env = {
      CHUB_PREFIX: `${state}/opt`,
      CHUB_ENV: `${state}/env`,
      CHUB_USER: "nobody",
      CHUB_DATA: `${state}/var/data`,
      CHUB_CACHE: `${state}/var/cache`,
      CHUB_RESTART: `${state}/restart`,
      CHUB_READY: address,
    };
    try {
      const { code, text } = await deploy(await version("fresh"), env);
      const log = await Deno.readTextFile(`${state}/log`).catch(() => "");
      expect([code, text, log]).toEqual([0, expect.stringContaining("is ready"), expect.any(String)]);
      expect(await fetch(address).then((answer) => answer.json())).toMatchObject({ status: "ok" });
      const { uid, mode } = await Deno.stat(`${state}/var/data`);
      expect([uid, mode! & 0o777]).toEqual([(await Deno.stat(`${state}/var/data/admin.token`)).uid, 0o700]);
      expect(uid).not.toBe(0);
      const roots = async () =>
        (await first.sql`select name, configured from roots order by id`).map((
          row,
        ) => [row.name, row.configured]);
      expect(await roots()).toEqual([["one", true], ["two", true]]);
      // The root is removed at the start, before any scan of it.
      await replace(`${state}/env`, " two=file:///b", "");
      const again = await deploy(`${folder}/fresh`, env);
      expect([again.code, again.text]).toEqual([0, expect.stringContaining("is ready")]);
      expect(await roots()).toEqual([["one", true], ["two", false]]);
    } finally {
      await new Deno.Command("sh", {
        args: ["-c", `[ ! -f ${state}/pid ] || kill -- "-$(cat ${state}/pid)" || kill "$(cat ${state}/pid)"`],
      }).output();
      await first.drop();
    }
  },
  180_000,
);
