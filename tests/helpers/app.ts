import { createApp } from "../../app.ts";
import { readAdminToken } from "../../auth/admin_token.ts";
import { createAuth } from "../../auth/auth.ts";
import { openDirectory } from "../../auth/directory.ts";
import { createThrottle } from "../../auth/throttle.ts";
import { type Config, loadConfig } from "../../config/config.ts";
import { startQueue } from "../../cron/boss.ts";
import type { Queue } from "../../cron/queue.ts";
import { openDatabase } from "../../db/core/client.ts";
import type { Db } from "../../db/core/queryable.ts";
import type { SilenceLimits } from "../../db/core/watch.ts";
import { checkAnswers } from "../../routers/output_schema.ts";
import { checkExecutable } from "../../run/vrlsubmit.ts";
import { testDatabase } from "./postgres.ts";

checkAnswers();

export const HOME = import.meta.dirname!.replace(/\/tests\/helpers$/, "");

export interface TestApp {
  sql: Db;
  queue: Queue;
  config: Readonly<Config>;
  token: string;
  /** Shifts the hub's clock, except for times from the database. */
  clock: { offsetMs: number };
  /** Log lines, as JSON. */
  logged: string[];
  fetch(request: Request, peer?: { remote: string }): Response | Promise<Response>;
  /** Sends a request as the admin unless `signedOut`. `body` is sent as JSON. */
  ask(method: string, path: string, options?: AskOptions): Promise<Response>;
  close(): Promise<void>;
}

export interface TestAppOptions {
  /** Returns the URL of a proxy between the hub and its database. */
  via?(url: string): Promise<string>;
  limits?: Partial<SilenceLimits>;
}

export interface AskOptions {
  body?: unknown;
  raw?: BodyInit;
  headers?: Record<string, string>;
  signedOut?: boolean;
  /** Address of the peer (default: this machine). */
  remote?: string;
}

/** Starts the whole HTTP side on its own database and queue, with a temporary data folder. */
export async function testApp(
  env: Record<string, string> = {},
  { via, limits = {} }: TestAppOptions = {},
): Promise<TestApp> {
  const database = await testDatabase();
  const url = via === undefined ? database.url : await via(database.url);
  const sql = via === undefined ? database.sql : openDatabase(url, { limits });
  const folder = await Deno.makeTempDir({ prefix: "chub-app-" });
  const token = `chub_admin_${"0123456789abcdef".repeat(4)}`;
  await Deno.writeTextFile(`${folder}/admin.token`, token);
  await Deno.mkdir(`${folder}/drop`);
  const config = loadConfig(
    { DATA_DIR: folder, DATABASE_URL: url, ALLOWED_HOSTS: "hub.test", ...env },
    HOME,
  );
  const queue = await startQueue(sql, { onError: () => {} });
  const clock = { offsetMs: 0 };
  const now = () => new Date(Date.now() + clock.offsetMs);
  const throttle = createThrottle({ sql, ...config.auth });
  const logged: string[] = [];
  const auth = createAuth({
    ...config.auth,
    sql,
    throttle,
    directory: await openDirectory(config.auth.ldap),
    isAdminToken: await readAdminToken(config.adminTokenFile),
    now,
    log: (message, fields) => logged.push(JSON.stringify([message, fields])),
    refusalMs: 0,
  });
  const app = createApp({
    sql,
    queue,
    config,
    auth,
    throttle,
    now,
    checkSubmitter: () => checkExecutable(config.vrlsubmitPath),
  }, { log: (_level, message, fields) => logged.push(JSON.stringify([message, fields])) });
  return {
    sql: database.sql,
    queue,
    config,
    token,
    clock,
    logged,
    fetch: (request, peer) => app.fetch(request, peer),
    async ask(method, path, { body, raw, headers = {}, signedOut = false, remote = "127.0.0.1" } = {}) {
      return await app.request(path, {
        method,
        headers: {
          ...(signedOut ? {} : { authorization: `Bearer ${token}` }),
          ...(body === undefined ? {} : { "content-type": "application/json" }),
          ...headers,
        },
        ...(body !== undefined ? { body: JSON.stringify(body) } : raw !== undefined ? { body: raw } : {}),
      }, { remote });
    },
    async close() {
      await queue.stop(500);
      if (sql !== database.sql) await sql.end({ timeout: 1 });
      await database.drop();
      await Deno.remove(folder, { recursive: true });
    },
  };
}
