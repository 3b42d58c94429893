import { createApp } from "./app.ts";
import { readAdminToken } from "./auth/admin_token.ts";
import { createAuth } from "./auth/auth.ts";
import { openDirectory } from "./auth/directory.ts";
import { createThrottle } from "./auth/throttle.ts";
import { ENV_NAMES, loadConfig, PROGRAM_ENV } from "./config/config.ts";
import { startQueue } from "./cron/boss.ts";
import { scheduleOf } from "./cron/schedule.ts";
import { cancelJobInLab, followLabTask } from "./cron/tasks/follow_lab.ts";
import type { JobDeps } from "./cron/tasks/job_deps.ts";
import { searchLabForJob, submitJob } from "./cron/tasks/jobs.ts";
import { scanDropTask } from "./cron/tasks/scan_drop.ts";
import { readListsTask } from "./cron/tasks/read_lists.ts";
import { sweepResults } from "./cron/tasks/sweep_results.ts";
import { scrapeTask } from "./cron/tasks/scrape.ts";
import { runLine, tick } from "./cron/tick.ts";
import { openDatabase } from "./db/core/client.ts";
import { configureRoots } from "./db/drop/drop_roots.ts";
import { databaseFault } from "./db/core/connection_errors.ts";
import { migrate } from "./db/core/migrate.ts";
import { completePackages } from "./db/drop/package_names.ts";
import { HubError, reasonOf } from "./errors.ts";
import { createFetch, createRateLimits, readPolicyOf } from "./scrapers/mod.ts";
import { createFaultLog } from "./routers/fault_log.ts";
import { createDrain } from "./run/drain.ts";
import { shareDataLock } from "./run/data_lock.ts";
import { ADDRESS_IN_USE, END_WITH_STDIN } from "./run/exit_codes.ts";
import { type HubListener, listen } from "./run/listener.ts";
import { bracketed } from "./run/permissions.ts";
import { IGNORE_HANGUP, listenForStop, waitForEnd } from "./run/stop_signal.ts";
import { checkExecutable } from "./run/vrlsubmit.ts";

const HOME = import.meta.dirname!;
const DRAIN_MS = 8_000;
const LEVELS = ["debug", "info", "warn", "error"] as const;

const config = readConfig();
const minLevel = LEVELS.indexOf(config.logLevel);

function readConfig() {
  try {
    const names = [...ENV_NAMES, ...PROGRAM_ENV];
    return loadConfig(Object.fromEntries(names.map((name) => [name, Deno.env.get(name)])), HOME);
  } catch (error) {
    console.error(reasonOf(error));
    Deno.exit(2);
  }
}

function log(level: typeof LEVELS[number], message: string, fields: Record<string, unknown> = {}): void {
  if (LEVELS.indexOf(level) < minLevel) return;
  console.error(JSON.stringify({ at: new Date().toISOString(), level, message, ...fields }));
}

const faults = createFaultLog({ log, now: () => new Date() });
Deno.unrefTimer(setInterval(() => faults.flush(), 60_000));

/** Logs errors outside requests. */
function logFailure(what: string, error: unknown): void {
  const fault = databaseFault(error);
  if (fault === undefined) log("error", what, { reason: reasonOf(error) });
  else faults.add(`${what}: ${fault.message}`, { reason: reasonOf(error) });
}

function fail(message: string, code = 1): never {
  console.error(message);
  Deno.exit(code);
}

if (config.databaseUrl === undefined) {
  fail(
    "No database is configured. Set DATABASE_URL, or start with `deno task start`, which has an embedded one.",
  );
}
const isStarted = Deno.args.includes(END_WITH_STDIN);
let isDraining = false;
const working = Promise.withResolvers<void>();
// The lock lasts as long as the process.
const _lock = isStarted
  ? await shareDataLock(config.dataDir).catch((error) => fail(reasonOf(error)))
  : undefined;

try {
  // No limits, because a migration may take long, as may waiting for another hub's migration.
  const limits = { lockMs: Infinity, statementMs: Infinity };
  const schema = openDatabase(config.databaseUrl, { max: 1, limits });
  const applied = await migrate(schema);
  await schema.end({ timeout: 1 });
  if (applied.length > 0) log("info", "migrated", { applied });
} catch (error) {
  fail(
    error instanceof HubError ? error.message : `The database could not be migrated: ${reasonOf(error)}`,
  );
}
if (Deno.args.includes("--migrate")) {
  console.log("The schema is up to date.");
  Deno.exit(0);
}

const sql = openDatabase(config.databaseUrl, {
  max: config.databasePool,
  onSilent: (connections) =>
    faults.add("closed connections on which the database did not answer", { connections }),
});

try {
  await configureRoots(sql, config.dropRoots);
  const completed = await completePackages(sql);
  if (completed > 0) log("info", "set the branch and build of packages", { completed });
} catch (error) {
  fail(`The database could not be prepared: ${reasonOf(error)}`);
}

const queue = await startQueue(sql, {
  onError: (error) => logFailure("queue", error),
})
  .catch((error) => fail(`The queue could not be started: ${reasonOf(error)}`));
const jobDeps: JobDeps = {
  sql,
  queue,
  config,
  labToken: config.vrlTokenFile === undefined
    ? undefined
    : (await Deno.readTextFile(config.vrlTokenFile)).trim(),
  log: (message, fields) => log("warn", message, fields),
};
const throttle = createThrottle({ sql, ...config.auth });
const auth = createAuth({
  ...config.auth,
  sql,
  throttle,
  directory: await openDirectory(config.auth.ldap).catch((error) => fail(reasonOf(error))),
  isAdminToken: await readAdminToken(config.adminTokenFile).catch((error) => fail(reasonOf(error))),
  now: () => new Date(),
  log: (message, fields) => log("warn", message, fields),
});
const app = createApp({
  sql,
  queue,
  config,
  auth,
  throttle,
  now: () => new Date(),
  checkSubmitter: () => checkExecutable(config.vrlsubmitPath),
}, { log, faults });

for (const line of scheduleOf(config)) {
  Deno.cron(line.name, line.cron, async () => {
    if (!queue.isRunning()) return;
    try {
      await runLine(jobDeps, line.name, new Date());
    } catch (error) {
      logFailure(`cron ${line.name}`, error);
    }
  });
}

const dropHosts = config.dropRoots.filter((root) => !root.url.startsWith("file:")).map((root) =>
  new URL(root.url.replace(/^\w+\+/, "")).host
);
const pace = createRateLimits();
const dropFetch = createFetch({ allow: { ...readPolicyOf(config), hosts: dropHosts } });
const taskDeps = {
  sql,
  config,
  now: () => new Date(),
  log: (message: string, fields?: Record<string, unknown>) => log("info", message, fields),
};
const { fetch, drain: drainRequests } = createDrain((request, info) =>
  app.fetch(request, { remote: (info.remoteAddr as Deno.NetAddr).hostname })
);
const server = startListening();
listenForStop({ ignoreHangup: Deno.env.get(IGNORE_HANGUP) !== undefined }).requested.then(drain);
// run/start.ts keeps the other end of stdin open, so stdin ends when it ends, even if killed.
if (isStarted) {
  waitForEnd(Deno.stdin.readable).then(() => drain("the program that started the hub has ended"));
}
// Starts after listening: a hub that cannot listen must not start a task.
await queue.work(
  "scan_drop",
  1,
  (data, signal) => scanDropTask({ ...taskDeps, fetch: dropFetch }, data, signal),
);
await queue.work(
  "scrape",
  config.scrapeConcurrency,
  (data, signal) => scrapeTask({ ...taskDeps, pace }, data, signal),
);
await queue.work("submit_job", 4, ({ jobId }, signal) => submitJob(jobDeps, jobId, signal));
await queue.work("look_up_job", 2, ({ jobId }, signal) => searchLabForJob(jobDeps, jobId, signal));
await queue.work("cancel_job", 2, ({ jobId }, signal) => cancelJobInLab(jobDeps, jobId, signal));
await queue.work("read_lists", 1, (_data, signal) => readListsTask(taskDeps, signal));
await queue.work("sweep_results", 1, async (_data, signal) => {
  await sweepResults(taskDeps, signal);
});
await queue.work("follow_lab", 1, (_data, signal) => followLabTask(jobDeps, signal));
working.resolve();
tick(jobDeps, new Date()).catch((error) => logFailure("first tick", error));

function startListening(): HubListener {
  const { host: hostname, port, headerTimeoutMs, idleTimeoutMs } = config;
  try {
    return listen(fetch, {
      hostname,
      port,
      headerTimeoutMs,
      idleTimeoutMs,
      onListen: (at) => console.log(`C Hub is ready: http://${bracketed(at.hostname)}:${at.port}/`),
      log: faults.add,
    });
  } catch (error) {
    const isTaken = error instanceof Deno.errors.AddrInUse;
    const why = isTaken ? "another process is listening on it" : reasonOf(error);
    fail(
      `The hub cannot listen on ${hostname}:${port}: ${why}. Set HOST and PORT to a free address.`,
      isTaken ? ADDRESS_IN_USE : 1,
    );
  }
}

async function drain(reason: string): Promise<void> {
  if (isDraining) return;
  isDraining = true;
  log("info", "draining", { reason });
  const limit = setTimeout(() => Deno.exit(0), DRAIN_MS + 1_500);
  Deno.unrefTimer(limit);
  await Promise.allSettled([drainRequests(), working.promise.then(() => queue.stop(DRAIN_MS))]);
  await server.shutdown();
  await sql.end({ timeout: 1 });
  Deno.exit(0);
}
