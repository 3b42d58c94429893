import { afterAll, beforeAll, expect, test as plainTest } from "vitest";
import { openDatabase } from "../../../db/core/client.ts";
import type { Db } from "../../../db/core/queryable.ts";
import { isListening } from "../../../run/listening.ts";
import { freePort, until } from "../../helpers/lab.ts";
import { type TestDatabase, testDatabase } from "../../helpers/postgres.ts";
import { hasProgram, requires } from "../../helpers/require.ts";
import { openProxy, type TcpProxy } from "../../helpers/tcp_proxy.ts";

const isThere = hasProgram("pgbouncer");
const test = requires("pgbouncer", isThere, "apt-get install pgbouncer") as typeof plainTest;

/** A pooler between hub and server, in sessions, and a proxy between hub and pooler. */
let database: TestDatabase;
let pooler: Deno.ChildProcess;
let proxy: TcpProxy;
let folder: string;
beforeAll(async () => {
  if (!isThere) return;
  database = await testDatabase();
  folder = await Deno.makeTempDir();
  await Deno.chmod(folder, 0o755);
  const url = new URL(database.url);
  const host = url.searchParams.get("host") ?? url.hostname;
  const port = freePort();
  await Deno.writeTextFile(`${folder}/users`, `"${url.username}" ""\n`);
  await Deno.writeTextFile(
    `${folder}/pgbouncer.ini`,
    `[databases]
* = host=${host} port=${url.port || 5432}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = trust
auth_file = ${folder}/users
pool_mode = session
`,
  );
  // PgBouncer refuses to run as root, and must be able to reach the server's socket.
  const owner = Deno.uid() !== 0
    ? undefined
    : (await Deno.stat(host.startsWith("/") ? host : "/var/empty").catch(() => undefined))?.uid || 65534;
  pooler = new Deno.Command("pgbouncer", {
    args: ["-q", `${folder}/pgbouncer.ini`],
    env: { PATH: `${Deno.env.get("PATH")}:/usr/sbin` },
    ...(owner === undefined ? {} : { uid: owner, gid: owner }),
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  await until(() => isListening(`http://127.0.0.1:${port}`), Boolean);
  url.searchParams.delete("host");
  url.host = `127.0.0.1:${port}`;
  proxy = await openProxy(url.href);
});
afterAll(async () => {
  if (!isThere) return;
  await proxy.close();
  pooler.kill("SIGKILL");
  await pooler.status;
  await database.drop();
  await Deno.remove(folder, { recursive: true });
});

const codeOf = (work: PromiseLike<unknown>) => work.then(() => "no error", (error) => error.code);

test("the hub's connections start through PgBouncer, and the server shows their names", async () => {
  const sql = openDatabase(proxy.url, { max: 1 });
  const [row] = await sql`select application_name as name from pg_stat_activity where pid = pg_backend_pid()`;
  expect(row!.name).toMatch(/^chub [0-9a-f]{8}-1$/);
  await sql.end({ timeout: 1 });
});

test("silent connections to PgBouncer are replaced, and slow statements are not mistaken for silence", async () => {
  const open = (): Db => openDatabase(proxy.url, { max: 2, limits: { askMs: 500 } });
  const slow = open();
  expect(await slow`select pg_sleep(3)::text as done`).toHaveLength(1);
  await slow.end({ timeout: 1 });
  const sql = open();
  await Promise.all([sql`select pg_sleep(0.1)`, sql`select pg_sleep(0.1)`]);
  proxy.freeze();
  expect(await Promise.all([codeOf(sql`select 1`), codeOf(sql`select pg_sleep(0.1)`)]))
    .toEqual(["CONNECTION_CLOSED", "CONNECTION_CLOSED"]);
  expect(await sql`select 1 as one`).toEqual([{ one: 1 }]);
  await sql.end({ timeout: 0 });
});
