import { createApp } from "../../app.ts";
import { createAuthenticator } from "../../auth/tokens.ts";
import { type Config, loadConfig } from "../../config.ts";
import { startQueue } from "../../cron/boss.ts";
import type { Queue } from "../../cron/queue.ts";
import type { Db } from "../../db/client.ts";
import { checkExecutable } from "../../run/vrlsubmit.ts";
import { testDatabase } from "./postgres.ts";

export const HOME = new URL("../..", import.meta.url).pathname.replace(/\/$/, "");

export interface TestApp {
  sql: Db;
  queue: Queue;
  config: Readonly<Config>;
  token: string;
  fetch(request: Request): Response | Promise<Response>;
  /** Asks as the admin unless `signedOut`; a plain object is sent as JSON. */
  ask(method: string, path: string, options?: AskOptions): Promise<Response>;
  close(): Promise<void>;
}

export interface AskOptions {
  body?: unknown;
  raw?: BodyInit;
  headers?: Record<string, string>;
  signedOut?: boolean;
}

/** The whole HTTP side over a database and a queue of its own, with a data folder in a temporary one. */
export async function testApp(env: Record<string, string> = {}): Promise<TestApp> {
  const database = await testDatabase();
  const folder = await Deno.makeTempDir({ prefix: "chub-app-" });
  const token = `chub_admin_${"0123456789abcdef".repeat(4)}`;
  await Deno.writeTextFile(`${folder}/admin.token`, token);
  await Deno.mkdir(`${folder}/drop`);
  const config = loadConfig({ DATA_DIR: folder, DATABASE_URL: database.url, ...env }, HOME);
  const queue = await startQueue(database.sql, { onError: () => {} });
  const app = createApp({
    sql: database.sql,
    queue,
    config,
    now: () => new Date(),
    checkSubmitter: () => checkExecutable(config.vrlsubmitPath),
  }, { authenticate: await createAuthenticator(config), log: () => {} });
  return {
    sql: database.sql,
    queue,
    config,
    token,
    fetch: (request) => app.fetch(request),
    async ask(method, path, { body, raw, headers = {}, signedOut = false } = {}) {
      return await app.request(path, {
        method,
        headers: {
          ...(signedOut ? {} : { authorization: `Bearer ${token}` }),
          ...(body === undefined ? {} : { "content-type": "application/json" }),
          ...headers,
        },
        ...(body !== undefined ? { body: JSON.stringify(body) } : raw !== undefined ? { body: raw } : {}),
      });
    },
    async close() {
      await queue.stop(500);
      await database.drop();
      await Deno.remove(folder, { recursive: true });
    },
  };
}
