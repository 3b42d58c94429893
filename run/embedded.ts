import { findPlace, hasDatabase, type Place, shortHash, unavailable } from "./embedded_place.ts";

/** The embedded Postgres 18: a normal server with binaries from npm, reachable only by a Unix socket. */
export interface Embedded {
  /** For `openDatabase`: `postgres://chub@localhost/postgres?host=<folder of the socket>`. */
  url: string;
  /** Folder of the database's files. */
  dataDir: string;
  /** Why `dataDir` is not the requested folder. */
  moved?: string;
  /** Whether a running server was taken over. */
  adopted: boolean;
  isUp(): Promise<boolean>;
  stop(): Promise<void>;
}

export interface EmbeddedOptions {
  /** Absolute folder of the database's files. */
  dataDir: string;
  /** Absolute folder of the project, which contains node_modules. */
  home: string;
  /** false only for tests: a crash of the machine may lose data. */
  durable?: boolean;
}

const SOCKET = ".s.PGSQL.5432";
/** In bytes. The kernel allows 107 for a socket's path, of which `/.s.PGSQL.5432` takes 14. */
const LONGEST_SOCKET_FOLDER = 90;
/** Maximum wait for an earlier server on the folder to end. */
const ENDING_MS = 60_000;
const RETRY_MS = 250;

/**
 * Creates the database if there is none and starts its server, or takes over a running server. Do not call it concurrently for
 * the same folder. @throws HubError SERVICE_UNAVAILABLE that states what to do
 */
export async function startEmbedded(options: EmbeddedOptions): Promise<Embedded> {
  const place = await findPlace(options);
  const { dataDir } = place;
  const socketDir = await makeSocketFolder(place);
  const server = {
    url: `postgres://chub@localhost/postgres?host=${encodeURIComponent(socketDir)}`,
    dataDir,
    ...(place.moved === undefined ? {} : { moved: place.moved }),
    isUp: () => isListening(socketDir),
    stop: async () => {
      await stopServer(place);
      // The next start recreates a folder in /tmp.
      if (socketDir !== nearSocketFolder(place)) await Deno.remove(socketDir).catch(() => {});
    },
  };
  // Checks the socket, not the server's pid file: the pid may belong to another process by now, especially in a container.
  if (await isListening(socketDir)) return { ...server, adopted: true };
  if (!await hasDatabase(dataDir)) await makeDatabase(place, options.durable !== false);
  await startServer(place, socketDir, options.durable !== false);
  return { ...server, adopted: false };
}

/** Creates the database in a folder next to its own and renames that folder once it is complete. */
async function makeDatabase(place: Place, durable: boolean): Promise<void> {
  const { dataDir, user } = place;
  const fresh = `${dataDir}.new`;
  await Deno.remove(fresh, { recursive: true }).catch(() => {});
  await Deno.mkdir(fresh, { mode: 0o700 });
  if (user !== undefined) await Deno.chown(fresh, user, user);
  const made = await run(place, "initdb", [
    ...["-D", fresh, "-U", "chub", "--auth=trust", "--encoding=UTF8", "--locale=C"],
    ...(durable ? [] : ["--no-sync"]),
  ]);
  if (!made.ok) {
    await Deno.remove(fresh, { recursive: true });
    throw /could not look up effective user ID/.test(made.output)
      ? unavailable(
        `Postgres requires a line in /etc/passwd for the user it runs as (${
          user ?? Deno.uid()
        }). Add that line`,
        made.output,
      )
      : unavailable(
        `No database could be created in ${dataDir}. Set DATA_DIR to another folder`,
        made.output,
      );
  }
  await Deno.remove(dataDir).catch((error) => {
    throw unavailable(`${dataDir} contains files, but no database (${error.message}). Move them elsewhere`);
  });
  await Deno.rename(fresh, dataDir);
}

async function startServer(place: Place, socketDir: string, durable: boolean): Promise<void> {
  const { dataDir } = place;
  const log = `${dataDir}/server.log`;
  const settings = [
    `-k '${socketDir.replaceAll("'", `'\\''`)}'`,
    ...["listen_addresses=", "shared_buffers=256MB", "max_connections=100", "max_wal_size=2GB", "jit=off"]
      .map((one) => `-c ${one}`),
    ...(durable ? [] : ["-c fsync=off", "-c synchronous_commit=off", "-c full_page_writes=off"]),
  ];
  const end = performance.now() + ENDING_MS;
  while (true) {
    const logged = await Deno.stat(log).then(({ size }) => size, () => 0);
    const { ok, output } = await run(place, "pg_ctl", [
      ...["-D", dataDir, "-l", log, "-w", "-t", "60", "-o", settings.join(" "), "start"],
    ]);
    if (ok) return;
    const lines = await readFrom(log, logged);
    // A server that is ending, or the last processes of a killed one, may still lock the folder for a moment.
    const isTaken = /lock file|shared memory block/.test(lines);
    if (isTaken && await removeForeignPid(dataDir)) continue;
    if (!isTaken || performance.now() > end) {
      // The pid file of a locked folder is another server's.
      if (!isTaken) await stopServer(place, ["immediate"]);
      throw unavailable(
        `The server does not start in ${dataDir}`,
        `${output}\n${lines.split("\n").slice(-15).join("\n")}`,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
}

/** Stops the server. A server that does not stop in time is stopped immediately and recovers at its next start. */
async function stopServer(place: Place, modes = ["fast", "immediate"]): Promise<void> {
  // pg_ctl signals the process in the pid file, whatever it is.
  if (await removeForeignPid(place.dataDir)) return;
  for (const mode of modes) {
    const args = ["-D", place.dataDir, "-m", mode, "-w", "-t", "20", "stop"];
    if ((await run(place, "pg_ctl", args)).ok) return;
    if (!await Deno.stat(`${place.dataDir}/postmaster.pid`).then(() => true, () => false)) return;
  }
}

/**
 * After a crash the pid in postmaster.pid may belong to another process, which Postgres takes for a running server. Removes the
 * file if that process is not Postgres or works in another folder, which only /proc shows. Returns whether it did.
 * @throws HubError if the folder is a copy of the one that the process works in
 */
async function removeForeignPid(dataDir: string): Promise<boolean> {
  const file = `${dataDir}/postmaster.pid`;
  const [pid, folder] = (await Deno.readTextFile(file).catch(() => "")).split("\n");
  if (!/^\d+$/.test(pid!) || folder === undefined) return false;
  const { success, stdout } = await new Deno.Command("sh", {
    args: [
      "-c",
      'read -r name <"/proc/$1/comm" && { [ "$name" != postgres ] || { cd -P "/proc/$1/cwd" && pwd -P; }; }',
      "sh",
      pid!,
    ],
    stdin: "null",
    stderr: "null",
  }).output();
  const served = new TextDecoder().decode(stdout).trim();
  if (!success || served === await Deno.realPath(dataDir)) return false;
  if (served !== "" && served === await Deno.realPath(folder).catch(() => undefined)) {
    throw unavailable(
      `${dataDir} is a copy of ${folder}, made while its server ran (process ${pid}). Copy it while that server is stopped`,
    );
  }
  await Deno.remove(file);
  return true;
}

async function isListening(socketDir: string): Promise<boolean> {
  return await Deno.connect({ transport: "unix", path: `${socketDir}/${SOCKET}` })
    .then((connection) => (connection.close(), true), () => false);
}

function nearSocketFolder({ dataDir }: Pick<Place, "dataDir">): string {
  return `${dataDir}-socket`;
}

/** Creates the socket's folder, private to the database's user: next to the data, or in /tmp if that path is too long. */
async function makeSocketFolder({ dataDir, user }: Place): Promise<string> {
  const near = nearSocketFolder({ dataDir });
  const isShort = new TextEncoder().encode(near).length <= LONGEST_SOCKET_FOLDER;
  const folder = isShort ? near : `/tmp/chub-${await shortHash(dataDir)}`;
  await Deno.mkdir(folder, { mode: 0o700 }).then(
    () => user === undefined ? undefined : Deno.chown(folder, user, user),
    (error) => {
      if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    },
  );
  const { isDirectory, uid, mode } = await Deno.lstat(folder);
  if (
    Deno.build.os !== "windows" && (!isDirectory || uid !== (user ?? Deno.uid()) || (mode! & 0o077) !== 0)
  ) {
    throw unavailable(
      `The folder of its socket, ${folder}, must be private to the user it runs as. Remove it`,
    );
  }
  return folder;
}

async function readFrom(path: string, at: number): Promise<string> {
  return new TextDecoder().decode((await Deno.readFile(path).catch(() => new Uint8Array())).subarray(at));
}

/** Runs a Postgres program in its own session, so that Ctrl-C reaches only the starting program, which stops the server. */
async function run({ native, dataDir, user }: Place, program: string, args: string[]) {
  const { success, stdout, stderr } = await new Deno.Command(`${native}/bin/${program}`, {
    args,
    cwd: dataDir,
    clearEnv: true,
    env: { LC_ALL: "C", TZ: "UTC", PATH: "/usr/bin:/bin" },
    stdin: "null",
    detached: true,
    ...(user === undefined ? {} : { uid: user, gid: user }),
  }).output();
  const decoder = new TextDecoder();
  return { ok: success, output: decoder.decode(stdout) + decoder.decode(stderr) };
}
