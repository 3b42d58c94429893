import { createApp } from "../app.ts";
import { readAdminToken } from "../auth/admin_token.ts";
import { createAuth } from "../auth/auth.ts";
import { openDirectory } from "../auth/directory.ts";
import { createThrottle } from "../auth/throttle.ts";
import { loadConfig } from "../config.ts";
import { startQueue } from "../cron/boss.ts";
import { openDatabase } from "../db/client.ts";
import type { BenchDatabase } from "./database.ts";

export interface BenchHub {
  url: string;
  token: string;
  stop(): Promise<void>;
}

/** The hub's HTTP side over a benchmark's database, on a port of its own, as the started hub has it. */
export async function startHub({ url, folder }: BenchDatabase): Promise<BenchHub> {
  const token = `chub_admin_${"0123456789abcdef".repeat(4)}`;
  await Deno.writeTextFile(`${folder}/admin.token`, token);
  const home = new URL("..", import.meta.url).pathname.replace(/\/$/, "");
  const settings = { DATA_DIR: folder, DATABASE_URL: url, RATE_WRITES: "1000000", RATE_READS: "100000000" };
  const config = loadConfig(settings, home);
  const sql = openDatabase(url);
  const queue = await startQueue(sql, { onError: () => {} });
  const throttle = createThrottle({ sql, ...config.auth });
  const auth = createAuth({
    ...config.auth,
    sql,
    throttle,
    directory: await openDirectory(config.auth.ldap),
    isAdminToken: await readAdminToken(config.adminTokenFile),
    now: () => new Date(),
    log: () => {},
  });
  const app = createApp({
    sql,
    queue,
    config,
    auth,
    throttle,
    now: () => new Date(),
    checkSubmitter: () => Promise.resolve(undefined),
  }, { log: (level, message, fields) => level === "error" && console.error(message, fields) });
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    (request) => app.fetch(request, { remote: "127.0.0.1" }),
  );
  return {
    url: `http://127.0.0.1:${server.addr.port}`,
    token,
    async stop() {
      await server.shutdown();
      await queue.stop(1000);
      await sql.end();
    },
  };
}
