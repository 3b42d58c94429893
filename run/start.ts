import { type Config, loadConfig } from "../config.ts";
import { reasonOf } from "../errors.ts";
import { type Embedded, startEmbedded } from "./embedded.ts";
import { runHub } from "./hub_process.ts";
import { type Lab, startLab } from "./lab_process.ts";
import { allocatorEnv, hubPermissions, toFlags } from "./permissions.ts";

/** Prepares what no setting names, starts the hub under its own flags, and stops what it started. See run/start.sh. */
const home = new URL("..", import.meta.url).pathname.replace(/\/$/, "");
const mode = Deno.args[0];
const env = Deno.env.toObject();

function settings(extra: Record<string, string> = {}): Readonly<Config> {
  return loadConfig({ ...env, ...extra }, home);
}

/** `name` in `folder`, made on first need: 256 random bits, readable by this user alone. */
async function ensureToken(path: string, prefix: string): Promise<void> {
  if (await Deno.stat(path).then(() => true, () => false)) return;
  const bits = [...crypto.getRandomValues(new Uint8Array(32))].map((byte) =>
    byte.toString(16).padStart(2, "0")
  ).join("");
  await Deno.mkdir(path.slice(0, path.lastIndexOf("/")), { recursive: true });
  await Deno.writeTextFile(path, `${prefix}${bits}\n`, { mode: 0o600, createNew: true }).catch((error) => {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
  });
}

function isAlive(pid: number): Promise<boolean> {
  return new Deno.Command("kill", { args: ["-0", String(pid)], stdout: "null", stderr: "null" }).output()
    .then((done) => done.success);
}

/** A file for each hub on this data folder: the last one out stops what they share. */
async function join(folder: string): Promise<() => Promise<boolean>> {
  await Deno.mkdir(folder, { recursive: true });
  const own = `${folder}/${Deno.pid}`;
  await Deno.writeTextFile(own, "");
  return async () => {
    await Deno.remove(own).catch(() => {});
    for await (const { name } of Deno.readDir(folder)) {
      if (await isAlive(Number(name))) return false;
      await Deno.remove(`${folder}/${name}`).catch(() => {});
    }
    return true;
  };
}

async function main(): Promise<number> {
  const asked = settings();
  if (mode === "--permissions") {
    for (const { flag, values, reason } of hubPermissions(asked)) {
      console.log(`--allow-${flag}=${values.join(",")}\n    ${reason}`);
    }
    if (asked.databaseUrl === undefined) {
      console.log(
        "--allow-net, --allow-read, --allow-write of the embedded database's socket\n    the database, once it is started",
      );
    }
    if (asked.vrlUrl === undefined) {
      console.log(
        `--allow-net=127.0.0.1:${
          env.LAB_PORT ?? "8600"
        }\n--allow-read=${asked.dataDir}/lab.token\n    the embedded lab, once it is started`,
      );
    }
    return 0;
  }
  if (mode === "--flags") {
    console.log(toFlags(hubPermissions(asked)).join("\n"));
    return 0;
  }
  const data = asked.dataDir;
  await Deno.mkdir(data, { recursive: true });
  // The embedded Postgres may run as another user, who must pass through.
  await Deno.chmod(data, Deno.uid() === 0 ? 0o711 : 0o700);
  await ensureToken(asked.adminTokenFile, "chub_admin_");
  await Deno.mkdir(`${data}/drop`, { recursive: true });
  if (mode === "--tokens") return 0;
  const leave = await join(`${data}/hubs`);
  const started: { stop(): Promise<void> }[] = [];
  const lines: string[] = [];
  try {
    const extra: Record<string, string> = {};
    if (asked.databaseUrl === undefined) {
      const database: Embedded = await startEmbedded({ dataDir: `${data}/pg`, home });
      started.push(database);
      extra.DATABASE_URL = database.url;
      lines.push(
        `database  embedded Postgres 18 in ${data}/pg${
          database.adopted ? ", which was running" : ""
        } (DATABASE_URL is not set)`,
      );
    } else lines.push("database  the one that DATABASE_URL names");
    if (asked.vrlUrl === undefined && mode !== "--migrate") {
      await ensureToken(`${data}/lab.token`, "chub_lab_");
      const lab: Lab = await startLab({ home, data, listen: `127.0.0.1:${env.LAB_PORT ?? "8600"}` });
      started.push(lab);
      Object.assign(extra, {
        VRL_URL: lab.url,
        VRL_TOKEN_FILE: lab.tokenFile,
        VRL_NOTE_SEARCH: "authoritative",
      });
      lines.push(
        `lab       embedded, at ${lab.url}${lab.adopted ? ", which was running" : ""} (VRL_URL is not set)`,
      );
    } else lines.push("lab       the one that VRL_URL names");
    const config = settings(extra);
    for (const { name, url } of config.dropRoots) {
      lines.push(`drop      ${name === url ? "" : `${name}: `}${url}`);
    }
    lines.push(`token     ${config.adminTokenFile} (for writes: Authorization: Bearer …)`);
    if (mode !== "--migrate") console.log(`C Hub uses\n${lines.map((line) => `  ${line}`).join("\n")}`);
    return await runHub({ home, config, env: { ...allocatorEnv(env), ...extra }, mode });
  } finally {
    if (await leave()) {
      for (const part of started.reverse()) {
        await part.stop().catch((error) => console.error(reasonOf(error)));
      }
    }
  }
}

try {
  Deno.exit(await main());
} catch (error) {
  console.error(reasonOf(error));
  Deno.exit(1);
}
