import { openDatabase } from "../../db/core/client.ts";
import type { Db } from "../../db/core/queryable.ts";
import { migrate } from "../../db/core/migrate.ts";
import { startEmbedded } from "../../run/embedded.ts";
import { HOME } from "./app.ts";

/** A database server for one test, for actions that would disturb others: restarts and server-wide settings. */
export interface OwnPostgres extends AsyncDisposable {
  /** The migrated database `hub`, owned by the user `hub`, who is not a superuser. */
  url: string;
  /** A superuser's connection to the database `postgres`. */
  admin: Db;
  /** Ends and starts the server. */
  restart(): Promise<void>;
}

export async function ownPostgres(): Promise<OwnPostgres> {
  const folder = await Deno.makeTempDir({ prefix: "chub-own-" });
  await Deno.chmod(folder, 0o755);
  const start = () => startEmbedded({ dataDir: `${folder}/pg`, home: HOME, durable: false });
  let server = await start();
  const admin = openDatabase(server.url, { max: 1 });
  await admin`create role hub login`;
  await admin`create database hub owner hub`;
  // Committed data must survive a crash of the server, though not of the machine.
  await admin`alter database hub set synchronous_commit = on`;
  const url = new URL(server.url);
  url.username = "hub";
  url.pathname = "/hub";
  const sql = openDatabase(url.href, { max: 1 });
  await migrate(sql);
  await sql.end();
  return {
    url: url.href,
    admin,
    async restart() {
      await server.stop();
      server = await start();
    },
    async [Symbol.asyncDispose]() {
      await admin.end({ timeout: 1 });
      await server.stop();
      await Deno.remove(folder, { recursive: true });
      // The data moved here because the database's user could not enter the temporary folder.
      if (server.moved !== undefined) {
        await Deno.remove(server.dataDir.replace(/\/pg$/, ""), { recursive: true });
      }
    },
  };
}
