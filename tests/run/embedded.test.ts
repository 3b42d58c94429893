import { afterAll, beforeAll, expect, test } from "vitest";
import { openDatabase } from "../../db/core/client.ts";
import { type Embedded, startEmbedded } from "../../run/embedded.ts";
import { HOME } from "../helpers/app.ts";
import { requires } from "../helpers/require.ts";

let folder: string;
beforeAll(async () => {
  folder = await Deno.makeTempDir({ prefix: "chub-embedded-" });
  await Deno.chmod(folder, 0o755);
});
afterAll(() => Deno.remove(folder, { recursive: true }));

const start = (dataDir: string) => startEmbedded({ dataDir, home: HOME, durable: false });

async function count(database: Embedded): Promise<number> {
  const sql = openDatabase(database.url, { max: 1 });
  const [row] = await sql<{ count: number }[]>`select count(*)::int from kept`;
  await sql.end();
  return row!.count;
}

async function fill(database: Embedded): Promise<void> {
  const sql = openDatabase(database.url, { max: 1 });
  await sql`create table kept as select 1 as one`;
  await sql.end();
}

test("a folder with spaces, quotes and non-ASCII letters keeps its data across restarts", async () => {
  const dataDir = `${folder}/C Hub's Prüfstand – 測試/data/pg`;
  const first = await start(dataDir);
  expect([first.dataDir, first.adopted, first.moved]).toEqual([dataDir, false, undefined]);
  await fill(first);
  expect((await start(dataDir)).adopted).toBe(true);
  await first.stop();
  const second = await start(dataDir);
  expect([second.adopted, await count(second)]).toEqual([false, 1]);
  await second.stop();
});

test("if the path is too long for a socket, the socket is in a private folder of the database's user", async () => {
  const dataDir = `${folder}/${"long".repeat(30)}/pg`;
  const database = await start(dataDir);
  const socketDir = new URL(database.url).searchParams.get("host")!;
  expect(socketDir).toMatch(/^\/tmp\/chub-[0-9a-f]{16}$/);
  expect((await Deno.stat(socketDir)).mode! & 0o777).toBe(0o700);
  await database.stop();
  expect(await Deno.stat(socketDir).then(() => true, () => false)).toBe(false);
  await Deno.mkdir(socketDir);
  await Deno.chmod(socketDir, 0o777);
  await expect(start(dataDir)).rejects.toThrow(
    `The folder of its socket, ${socketDir}, must be private`,
  );
  await Deno.remove(socketDir, { recursive: true });
});

test("leftovers of an interrupted first start are recreated, and foreign files are left alone", async () => {
  const dataDir = `${folder}/interrupted/pg`;
  await Deno.mkdir(`${dataDir}.new/base`, { recursive: true });
  await Deno.writeTextFile(`${dataDir}.new/PG_VERSION`, "18\n");
  const database = await start(dataDir);
  await fill(database);
  await database.stop();
  expect(await Array.fromAsync(Deno.readDir(`${folder}/interrupted`), ({ name }) => name)).not.toContain(
    "pg.new",
  );
  await Deno.mkdir(`${folder}/other/pg`, { recursive: true });
  await Deno.writeTextFile(`${folder}/other/pg/mine`, "x");
  await expect(start(`${folder}/other/pg`)).rejects.toThrow(
    `${folder}/other/pg contains files, but no database`,
  );
  expect(await Deno.readTextFile(`${folder}/other/pg/mine`)).toBe("x");
  await expect(start(`${folder}/$HOME/pg`)).rejects.toThrow(
    /the path must not contain \$, ", `, \\ or a line end/,
  );
});

test("after a crash, another process with the server's old pid is not mistaken for the server", async () => {
  const dataDir = `${folder}/crashed/pg`;
  const first = await start(dataDir);
  await fill(first);
  const file = `${dataDir}/postmaster.pid`;
  const [pid, ...rest] = (await Deno.readTextFile(file)).split("\n");
  await first.stop();
  expect(Number(pid)).toBeGreaterThan(0);
  await Deno.writeTextFile(file, [Deno.pid, ...rest].join("\n"));
  const second = await start(dataDir);
  expect([second.adopted, await count(second)]).toEqual([false, 1]);
  await second.stop();
});

test("after a crash, a stop does not end another process with the server's old pid", async () => {
  const dataDir = `${folder}/crashed later/pg`;
  const database = await start(dataDir);
  const file = `${dataDir}/postmaster.pid`;
  const [, ...rest] = (await Deno.readTextFile(file)).split("\n");
  // Runs as the server's user, who may end it.
  const { uid } = await Deno.stat(file);
  await database.stop();
  const as = uid === Deno.uid() ? {} : { uid: uid!, gid: uid! };
  const other = new Deno.Command("sleep", { args: ["1000"], cwd: "/", stdin: "null", ...as }).spawn();
  await Deno.writeTextFile(file, [other.pid, ...rest].join("\n"));
  await database.stop();
  other.kill("SIGKILL");
  expect((await other.status).signal).toBe("SIGKILL");
});

test("a copy of a running database is refused, and the running server is left alone", async () => {
  const dataDir = `${folder}/original/pg`;
  const original = await start(dataDir);
  await fill(original);
  await Deno.mkdir(`${folder}/copy`);
  await new Deno.Command("cp", { args: ["-a", dataDir, `${folder}/copy/pg`] }).output();
  await expect(start(`${folder}/copy/pg`)).rejects.toThrow(
    `${folder}/copy/pg is a copy of ${dataDir}, made while its server ran`,
  );
  // After a crash of both, the pid file of one server may contain the pid of the other.
  const other = await start(`${folder}/crashed too/pg`);
  const file = `${folder}/crashed too/pg/postmaster.pid`;
  const [, ...rest] = (await Deno.readTextFile(file)).split("\n");
  await other.stop();
  const [pid] = (await Deno.readTextFile(`${dataDir}/postmaster.pid`)).split("\n");
  await Deno.writeTextFile(file, [pid, ...rest].join("\n"));
  const again = await start(`${folder}/crashed too/pg`);
  expect([again.adopted, await count(original)]).toEqual([false, 1]);
  await again.stop();
  await original.stop();
});

const asRoot = requires("root", Deno.build.os === "linux" && Deno.uid() === 0, "run it as root");
asRoot(
  "if Postgres's user cannot enter the data folder, root's database is in a shared folder and found there again",
  async () => {
    const closed = `${folder}/closed`;
    await Deno.mkdir(closed, { mode: 0o700 });
    const dataDir = `${closed}/data/pg`;
    const first = await start(dataDir);
    try {
      expect(first.dataDir).toMatch(/^\/var\/(lib|tmp)\/chub-embedded\/data-[0-9a-f]+\/pg$/);
      expect(first.moved).toBe(`Postgres does not run as root, and the user 65534 cannot enter ${dataDir}`);
      await fill(first);
      await first.stop();
      await Deno.chmod(closed, 0o755);
      // The folder is accessible now but still empty; the data stays in the shared folder.
      const second = await start(dataDir);
      expect([second.dataDir, await count(second)]).toEqual([first.dataDir, 1]);
      await second.stop();
      // The data folder is moved, and another takes its place.
      await Deno.rename(`${closed}/data`, `${closed}/moved`);
      const third = await start(`${closed}/moved/pg`);
      expect([third.dataDir, await count(third)]).toEqual([first.dataDir, 1]);
      await third.stop();
      const fresh = await start(dataDir);
      expect(fresh.dataDir).toBe(dataDir);
      await fresh.stop();
    } finally {
      await Deno.remove(first.dataDir.replace(/\/pg$/, ""), { recursive: true });
    }
  },
);

asRoot("root's server runs as the user whom an existing database belongs to", async () => {
  const dataDir = `${folder}/owned/pg`;
  const first = await start(dataDir);
  await fill(first);
  await first.stop();
  // As if that user had started the hub before. The owner of their files must not change.
  const owner = 12_345;
  const { success } = await new Deno.Command("chown", {
    args: ["-R", `${owner}:${owner}`, dataDir, `${dataDir}-socket`],
  })
    .output();
  expect(success).toBe(true);
  const database = await start(dataDir);
  expect([(await Deno.stat(`${dataDir}/postmaster.pid`)).uid, await count(database)]).toEqual([owner, 1]);
  await database.stop();
});
