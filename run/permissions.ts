import { type Config, ENV_NAMES, PROGRAM_ENV } from "../config/config.ts";
import { HubError } from "../errors.ts";
import { USERS_LOCK } from "./data_lock.ts";
import { guardLauncher } from "./guard_launcher.ts";
import { IGNORE_HANGUP } from "./stop_signal.ts";

/** A permission flag of the hub and its reason. */
export interface Permission {
  flag: "net" | "read" | "write" | "run" | "env" | "sys";
  values: string[];
  reason: string;
}

/** Environment variables that the database driver reads; they are unset, but reading them must be permitted. */
const DRIVER_ENV = ["PG*", "USER", "USERNAME", "LOGNAME"];
/** Environment variables that libraries read, for colours and debugging. */
const LIBRARY_ENV = ["NODE_ENV", "NODE_DEBUG", "NO_COLOR", "FORCE_COLOR", "DEBUG", "OTEL_*"];

/** The hub's exact permissions, derived from its configuration. The only program it may run starts vrlsubmit. */
export function hubPermissions(config: Readonly<Config>): Permission[] {
  const guard = guardLauncher(config).path;
  const permissions: Permission[] = [
    {
      flag: "net",
      values: [`${bracketed(config.host)}:${config.port}`],
      reason: "listens on this address (HOST, PORT)",
    },
    ...databasePermissions(config.databaseUrl),
    {
      flag: "run",
      values: [guard],
      reason: "starts vrlsubmit, and nothing else, in a process group (VRLSUBMIT_PATH)",
    },
    { flag: "read", values: [config.vrlsubmitPath], reason: "checks that vrlsubmit exists" },
    { flag: "read", values: [config.adminTokenFile], reason: "reads the admin token (ADMIN_TOKEN_FILE)" },
    { flag: "read", values: [`${config.home}/db/migrations`], reason: "reads the schema's migrations" },
    { flag: "read", values: [config.spoolDir], reason: "reads back what is being pushed (SPOOL_DIR)" },
    {
      flag: "write",
      values: [config.spoolDir],
      reason: "keeps what is being pushed until it is whole (SPOOL_DIR)",
    },
    { flag: "env", values: [...ENV_NAMES], reason: "its settings" },
    { flag: "env", values: [...PROGRAM_ENV], reason: "passes them on to vrlsubmit" },
    { flag: "env", values: [IGNORE_HANGUP], reason: "keeps running after its terminal closes (nohup)" },
    {
      flag: "read",
      values: [`${config.dataDir}/${USERS_LOCK}`],
      reason: "shares the lock of the data folder, so that nothing is stopped under it",
    },
    { flag: "env", values: DRIVER_ENV, reason: "the database driver looks for libpq's settings" },
    { flag: "env", values: LIBRARY_ENV, reason: "libraries look for these" },
  ];
  permissions.push(...directoryPermissions(config.auth.ldap));
  if (config.vrlUrl !== undefined) {
    permissions.push({ flag: "net", values: [hostOf(config.vrlUrl)], reason: "the lab (VRL_URL)" });
  }
  if (config.vrlTokenFile !== undefined) {
    permissions.push({
      flag: "read",
      values: [config.vrlTokenFile],
      reason: "the lab's token, to cancel jobs (VRL_TOKEN_FILE)",
    });
  }
  for (const { name, url } of config.dropRoots) {
    if (url.startsWith("file:")) {
      permissions.push({
        flag: "read",
        values: [decodeURIComponent(new URL(url).pathname)],
        reason: `the drop ${name} (DROP_URLS)`,
      });
    } else {permissions.push({
        flag: "net",
        values: [hostOf(url.replace(/^\w+\+/, ""))],
        reason: `the drop ${name} (DROP_URLS)`,
      });}
  }
  if (config.scrapeHosts.length > 0) {
    permissions.push({
      flag: "net",
      values: config.scrapeHosts,
      reason: "what scrapers may read (SCRAPE_HOSTS)",
    });
  }
  if (config.scrapeRoots.length > 0) {
    permissions.push({
      flag: "read",
      values: config.scrapeRoots,
      reason: "what scrapers may read (SCRAPE_ROOTS)",
    });
  }
  for (const { name, place } of config.scrapeSecrets) {
    permissions.push({
      flag: place.startsWith("/") ? "read" : "env",
      values: [place],
      reason: `the secret ${name} (SCRAPE_SECRETS)`,
    });
  }
  return permissions;
}

/**
 * Collects garbage earlier than V8's default: halves memory use under load and slows pushes by a tenth. Marks during
 * allocation rather than in separate tasks, because Deno does not poll the network while hundreds of such tasks run.
 */
export const HEAP_FLAGS = `--v8-flags=${
  ["--heap-growing-percent=60", "--max-semi-space-size=8", "--no-incremental-marking-task"].join(",")
}`;

const ALLOCATOR_ENV = {
  MALLOC_ARENA_MAX: "1",
  MALLOC_MMAP_THRESHOLD_: "65536",
  MALLOC_TRIM_THRESHOLD_: "131072",
};

/**
 * Makes glibc return memory of upload chunks to the system at once. Variables that `env` sets already take precedence; other
 * allocators ignore them.
 */
export function allocatorEnv(env: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(ALLOCATOR_ENV).map(([name, value]) => [name, env[name] ?? value]));
}

/** Flags of `deno run`, one per kind. @throws HubError BAD_REQUEST if a value has a comma, which the flags cannot escape */
export function toFlags(permissions: Permission[]): string[] {
  const kinds = new Map<string, Set<string>>();
  for (const { flag, values, reason } of permissions) {
    const all = kinds.get(flag) ?? new Set();
    for (const value of values) {
      if (value.includes(",")) {
        throw new HubError(
          "BAD_REQUEST",
          `A path or name must not contain a comma, which Deno's permission flags cannot express: ${value} (${reason}). Move ` +
            "it, or set DATA_DIR to a folder without a comma.",
        );
      }
      all.add(value);
    }
    kinds.set(flag, all);
  }
  return [
    "--no-prompt",
    "--no-remote",
    "--cached-only",
    HEAP_FLAGS,
    ...[...kinds].map(([flag, values]) => `--allow-${flag}=${[...values].join(",")}`),
  ];
}

function directoryPermissions(ldap: Config["auth"]["ldap"]): Permission[] {
  if (ldap === undefined) return [];
  const files = [
    [ldap.caFile, "trusts its authorities (LDAP_CA_FILE)"],
    [ldap.servicePasswordFile, "searches as the service account (LDAP_SERVICE_PASSWORD_FILE)"],
  ] as const;
  return [
    { flag: "net", values: ldap.urls.map(ldapHost), reason: "the directory (LDAP_URL)" },
    ...files.flatMap(([file, reason]) =>
      file === undefined ? [] : [{ flag: "read" as const, values: [file], reason }]
    ),
  ];
}

function ldapHost(address: string): string {
  const url = new URL(address);
  return `${url.hostname}:${url.port || (url.protocol === "ldaps:" ? "636" : "389")}`;
}

function databasePermissions(databaseUrl: string | undefined): Permission[] {
  if (databaseUrl === undefined) return [];
  const url = new URL(databaseUrl);
  const folder = url.searchParams.get("host");
  if (folder === null || !folder.startsWith("/")) {
    return [{
      flag: "net",
      values: [`${url.hostname}:${url.port || "5432"}`],
      reason: "the database (DATABASE_URL)",
    }];
  }
  const socket = `${folder}/.s.PGSQL.${url.port || "5432"}`;
  return [
    { flag: "net", values: [`unix:${socket}`], reason: "the database's socket" },
    { flag: "read", values: [socket], reason: "a socket is opened like a file" },
    { flag: "write", values: [socket], reason: "a socket is opened like a file" },
  ];
}

/** Puts an IPv6 address in brackets, as URLs and Deno's flags require. */
export function bracketed(host: string): string {
  return host.includes(":") ? `[${host}]` : host;
}

function hostOf(address: string): string {
  const url = new URL(address);
  return `${url.hostname}:${url.port || (url.protocol === "https:" ? "443" : "80")}`;
}
