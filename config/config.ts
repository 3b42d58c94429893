import { z } from "zod";
import { AUTH_SETTINGS, type AuthConfig, authConfig } from "./auth.ts";
import { LIMIT_SETTINGS, type LimitConfig, limitConfig } from "./limits.ts";
import { schemasOf, setting, whole } from "./setting.ts";
import { type DropRoot, dropRoots, fileUrl, type ScrapeSecret, scrapeSecrets } from "./sources.ts";
import { HubError } from "../errors.ts";
import { patternFault } from "../patterns.ts";

const words = z.string().default("").transform((value) => value.split(/[\s,]+/).filter(Boolean));
const httpUrl = z.url({ protocol: /^https?$/, error: "must be an http or https URL" }).transform((url) =>
  url.replace(/(?<!\/)\/+$/, "")
);

/** Every setting, declared once: the configuration, permissions, `--help` and docs/reference/settings.md derive from it. */
export const SETTINGS = {
  HOST: setting(z.string().default("127.0.0.1"), "Address to listen on"),
  PORT: setting(whole(0, 65535).default(8000), "Port to listen on"),
  DATABASE_URL: setting(
    z.string().regex(/^postgres(ql)?:\/\//, "must begin with postgres://").optional(),
    "Postgres 14 or newer; without it `deno task start` runs an embedded Postgres 18",
    "embedded",
  ),
  DATABASE_POOL: setting(whole(2, 200).default(10), "Maximum number of database connections"),
  DATA_DIR: setting(
    z.string().min(1).default("data"),
    "Folder for the hub's own data: tokens, embedded database, embedded lab, default drop",
  ),
  ADMIN_TOKEN_FILE: setting(
    z.string().optional(),
    "File with the admin token; created on first start",
    "$DATA_DIR/admin.token",
  ),
  DROP_URLS: setting(
    z.string().optional(),
    "Roots of the binary drop, separated by spaces; each `[name=]url`: file:, http(s): (a directory index), s3+https:, gcs+https: (bucket listings)",
    "file: $DATA_DIR/drop",
  ),
  DROP_PATTERN: setting(
    z.string().superRefine((source, context) => {
      const message = patternFault(source, ["changelist"]);
      if (message !== undefined) context.addIssue({ code: "custom", message });
    }).optional(),
    "The site's pattern of build file names: a regular expression with the named groups changelist, revision, package",
  ),
  DROP_FULL_SCAN_DAYS: setting(
    whole(0, 365).default(7),
    "Days after which even an unchanged directory is read again",
  ),
  KEEP_RESULTS_DAYS: setting(
    whole(0, 36_500).default(0),
    "Days that results are kept, for tests without their own setting; 0 keeps them permanently",
  ),
  KEEP_RECORDS_DAYS: setting(
    whole(1, 36_500).default(90),
    "Days that records of scrapes and scans, and Idempotency-Keys, are kept; the last of each test and root always stays",
  ),
  DROP_SCAN_CRON: setting(
    z.string().regex(/^\S+ \S+ \S+ \S+ \S+$/, "must have five fields, as in `0 3 * * *`")
      .default("0 3 * * *"),
    "Cron expression of the daily drop scan (UTC)",
  ),
  VRL_URL: setting(
    httpUrl.optional(),
    "The lab's HTTP address; without it `deno task start` runs an embedded lab",
    "embedded",
  ),
  VRL_USER: setting(
    z.string().regex(/^[A-Za-z0-9_][\w.@-]{0,63}$/, "must be a plain user name").default("chub"),
    "User name that jobs are submitted under",
  ),
  VRL_NOTE_SEARCH: setting(
    z.enum(["authoritative", "advisory"]).default("advisory"),
    "`authoritative` if a job the lab accepted is always found by its note; else `advisory`",
    "advisory; authoritative for the embedded lab",
  ),
  VRL_LOST_AFTER: setting(
    whole(1, 604_800).default(600),
    "Seconds after which a job is lost if the lab answers 404 for its serial",
  ),
  VRL_TOKEN_FILE: setting(
    z.string().optional(),
    "File with the lab's token, which is passed to vrlsubmit",
    "none; $DATA_DIR/lab.token for the embedded lab",
  ),
  VRLSUBMIT_PATH: setting(z.string().min(1).default("run/vrlsubmit"), "The program that submits jobs"),
  VRLSUBMIT_TIMEOUT: setting(whole(1, 3600).default(60), "Time limit of a submission, in seconds"),
  SCRAPE_HOSTS: setting(words, "Hosts that scrapers may read, as host or host:port, separated by spaces"),
  SCRAPE_ROOTS: setting(words, "Folders that scrapers may read, separated by spaces"),
  SCRAPE_SECRETS: setting(
    z.string().default(""),
    "Secrets that scrapers may send, and their destinations, separated by spaces: `name@host,host:port` (https) or `name@http://host:port`; the value of each is in `SCRAPE_SECRET_<NAME>`, or in a file",
  ),
  SCRAPE_SECRETS_DIR: setting(
    z.string().min(1).optional(),
    "Folder with one file per secret of SCRAPE_SECRETS, named like it; without it, secrets are read from the environment",
  ),
  SCRAPE_CONCURRENCY: setting(whole(1, 64).default(4), "Maximum concurrent scrapes in this process"),
  HELD_PAGES: setting(
    whole(0, 1 << 30).default(16 << 20),
    "Size of the cache for frequently requested pages of builds and results, in characters of JSON, 1 or 2 bytes each; a page is used only while its data is unchanged. 0 disables the cache",
  ),
  SPOOL_DIR: setting(
    z.string().min(1).optional(),
    "Folder for temporary files of pushes in progress; they have no directory entry, so they disappear by themselves",
    "$DATA_DIR/spool",
  ),
  LOG_LEVEL: setting(
    z.enum(["debug", "info", "warn", "error"]).default("info"),
    "`debug`, `info`, `warn` or `error`",
  ),
  ...LIMIT_SETTINGS,
  ...AUTH_SETTINGS,
};

/** Environment variables passed to vrlsubmit, which starts with an otherwise empty environment. */
export const PROGRAM_ENV = ["PATH", "HOME", "TMPDIR", "DENO_DIR"] as const;

export type SettingName = keyof typeof SETTINGS;
export const ENV_NAMES = Object.keys(SETTINGS) as SettingName[];

const environment = z.object(schemasOf(SETTINGS));

export interface Config extends LimitConfig {
  host: string;
  port: number;
  /** Undefined if no database is configured; then only run/start.ts continues. */
  databaseUrl: string | undefined;
  databasePool: number;
  /** Absolute path. */
  dataDir: string;
  adminTokenFile: string;
  dropRoots: DropRoot[];
  dropPattern: string | undefined;
  dropFullScanDays: number;
  keepResultsDays: number;
  keepRecordsDays: number;
  dropScanCron: string;
  /** Without a trailing slash; undefined if no lab is configured. */
  vrlUrl: string | undefined;
  vrlUser: string;
  vrlNoteSearch: "authoritative" | "advisory";
  vrlLostAfterMs: number;
  vrlTokenFile: string | undefined;
  vrlsubmitPath: string;
  vrlsubmitTimeoutMs: number;
  /** vrlsubmit's environment; CHUB_DENO is the path of the running Deno. */
  programEnv: Record<string, string>;
  scrapeHosts: string[];
  /** Absolute folders. */
  scrapeRoots: string[];
  /** Named secrets with the origins that each may be sent to; without their values. */
  scrapeSecrets: ScrapeSecret[];
  scrapeConcurrency: number;
  /** In characters of JSON. */
  pageCacheSize: number;
  /** Absolute path. */
  spoolDir: string;
  logLevel: "debug" | "info" | "warn" | "error";
  auth: AuthConfig;
  /** The folder that the hub was started in; the base of relative paths. */
  home: string;
}

/**
 * Reads the settings. `home`: the base folder of relative paths.
 * @throws HubError BAD_REQUEST that lists every problem
 */
export function loadConfig(env: Record<string, string | undefined>, home: string): Readonly<Config> {
  const named = Object.fromEntries(ENV_NAMES.map((name) => [name, env[name] === "" ? undefined : env[name]]));
  const parsed = environment.safeParse(named);
  const issues = parsed.error?.issues.map((issue) => ({
    path: issue.path.join("."),
    message: `${issue.message} (now: ${JSON.stringify(named[String(issue.path[0])])})`,
  })) ?? [];
  const absolute = (path: string) => path.startsWith("/") ? path : `${home}/${path}`;
  const dataDir = absolute(named.DATA_DIR ?? "data").replace(/(?<!\/)\/+$/, "");
  const roots = dropRoots(named.DROP_URLS ?? `drop=${fileUrl(`${dataDir}/drop`)}`, home, issues);
  const secrets = scrapeSecrets(named.SCRAPE_SECRETS ?? "", {
    folder: named.SCRAPE_SECRETS_DIR && absolute(named.SCRAPE_SECRETS_DIR).replace(/(?<!\/)\/+$/, ""),
    issues,
  });
  const auth = parsed.data &&
    authConfig(parsed.data, absolute, (path, message) => issues.push({ path, message }));
  if (!parsed.success || auth === undefined || issues.length > 0) {
    const lines = issues.map((issue) => `  ${issue.path}: ${issue.message}`);
    throw new HubError("BAD_REQUEST", `Some settings are invalid:\n${lines.join("\n")}`, { issues });
  }
  const value = parsed.data;
  return Object.freeze({
    host: value.HOST,
    port: value.PORT,
    databaseUrl: value.DATABASE_URL,
    databasePool: value.DATABASE_POOL,
    dataDir,
    adminTokenFile: absolute(value.ADMIN_TOKEN_FILE ?? `${dataDir}/admin.token`),
    dropRoots: roots,
    dropPattern: value.DROP_PATTERN,
    dropFullScanDays: value.DROP_FULL_SCAN_DAYS,
    keepResultsDays: value.KEEP_RESULTS_DAYS,
    keepRecordsDays: value.KEEP_RECORDS_DAYS,
    dropScanCron: value.DROP_SCAN_CRON,
    vrlUrl: value.VRL_URL,
    vrlUser: value.VRL_USER,
    vrlNoteSearch: value.VRL_NOTE_SEARCH,
    vrlLostAfterMs: value.VRL_LOST_AFTER * 1000,
    vrlTokenFile: value.VRL_TOKEN_FILE === undefined ? undefined : absolute(value.VRL_TOKEN_FILE),
    vrlsubmitPath: absolute(value.VRLSUBMIT_PATH),
    vrlsubmitTimeoutMs: value.VRLSUBMIT_TIMEOUT * 1000,
    programEnv: programEnv(env),
    scrapeHosts: value.SCRAPE_HOSTS,
    scrapeRoots: value.SCRAPE_ROOTS.map(absolute),
    scrapeSecrets: secrets,
    scrapeConcurrency: value.SCRAPE_CONCURRENCY,
    ...limitConfig(value),
    pageCacheSize: value.HELD_PAGES,
    spoolDir: absolute(value.SPOOL_DIR ?? `${dataDir}/spool`),
    logLevel: value.LOG_LEVEL,
    auth,
    home,
  });
}

function programEnv(env: Record<string, string | undefined>): Record<string, string> {
  const named = PROGRAM_ENV.flatMap((name) => env[name] ? [[name, env[name]]] : []);
  return { ...Object.fromEntries(named), CHUB_DENO: Deno.execPath() };
}
