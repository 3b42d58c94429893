import { findPlace, hasDatabase, type Place, shortHash, unavailable } from "./embedded_place.ts";

/** The embedded Postgres 18: a real server, its binaries by npm, reached by a unix socket alone. */
export interface Embedded {
  /** For `openDatabase`: `postgres://chub@localhost/postgres?host=<folder of the socket>`. */
  url: string;
  /** Folder of the database's files. */
  dataDir: string;
  /** Why that is not the folder that was asked for. */
  moved?: string;
  /** Whether a server left running was taken over. */
  adopted: boolean;
  isUp(): Promise<boolean>;
  stop(): Promise<void>;
}

export interface EmbeddedOptions {
  /** Absolute folder of the database's files. */
  dataDir: string;
  /** Absolute folder of the project, where node_modules lies. */
  home: string;
  /** false only for tests: a crash of the machine may lose what was written. */
  durable?: boolean;
}

const SOCKET = ".s.PGSQL.5432";
/** Bytes; the kernel allows 107 for the path of a socket, of which `/.s.PGSQL.5432` takes 14. */
const LONGEST_SOCKET_FOLDER = 90;
/** How long an earlier server on the folder may take to end. */
const ENDING_MS = 60_000;
const RETRY_MS = 250;

/**
 * Makes the database where there is none and starts its server, or takes over the one that runs. One at a time for a folder.
 * @throws HubError SERVICE_UNAVAILABLE that says what to do.
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
      // A folder of /tmp is made anew by the next start.
      if (socketDir !== nearSocketFolder(place)) await Deno.remove(socketDir).catch(() => {});
    },
  };
  // The socket, not the file with the server's process id: the id may be another process's by now, in a container above all.
  if (await isListening(socketDir)) return { ...server, adopted: true };
  if (!await hasDatabase(dataDir)) await makeDatabase(place, options.durable !== false);
  await startServer(place, socketDir, options.durable !== false);
  return { ...server, adopted: false };
}

/** Makes the database in a folder beside its own, which it takes when it is whole. */
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
        `Postgres requires that the user it runs as (${
          user ?? Deno.uid()
        }) has a line in /etc/passwd. Add one`,
        made.output,
      )
      : unavailable(`No database could be made in ${dataDir}. Set DATA_DIR to another folder`, made.output);
  }
  await Deno.remove(dataDir).catch((error) => {
    throw unavailable(`${dataDir} has files, but no database (${error.message}). Move it away`);
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
    // A server that is ending, or the last processes of one that was killed, may have the folder for a moment.
    const isTaken = /lock file|shared memory block/.test(lines);
    if (isTaken && await removeForeignPid(dataDir)) continue;
    if (!isTaken || performance.now() > end) {
      // A taken folder's process id is another server's.
      if (!isTaken) await stopServer(place, ["immediate"]);
      throw unavailable(
        `Its server does not start in ${dataDir}`,
        `${output}\n${lines.split("\n").slice(-15).join("\n")}`,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
}

/** Ends the server; one that does not end in time is ended at once, and recovers at its next start. */
async function stopServer(place: Place, modes = ["fast", "immediate"]): Promise<void> {
  // pg_ctl signals whatever process has the id in the server's file.
  if (await removeForeignPid(place.dataDir)) return;
  for (const mode of modes) {
    const args = ["-D", place.dataDir, "-m", mode, "-w", "-t", "20", "stop"];
    if ((await run(place, "pg_ctl", args)).ok) return;
    if (!await Deno.stat(`${place.dataDir}/postmaster.pid`).then(() => true, () => false)) return;
  }
}

/**
 * After a crash the server's process id may be another process's, and Postgres takes that for a server at work. Removes its
 * file if that process is no Postgres or works in another folder, which only /proc shows. Returns whether it did.
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

/** Beside the files, or where that path is too long in /tmp, for the database's user alone. */
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
    throw unavailable(`${folder}, for its socket, is not a folder of its user alone. Remove it`);
  }
  return folder;
}

async function readFrom(path: string, at: number): Promise<string> {
  return new TextDecoder().decode((await Deno.readFile(path).catch(() => new Uint8Array())).subarray(at));
}

/** Runs one of Postgres's programs in a session of its own: a Ctrl-C is for the starting program, which stops it in order. */
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
