import type { TestProject } from "vitest/node";
import { openDatabase } from "../../db/core/client.ts";
import { migrate } from "../../db/core/migrate.ts";
import { startEmbedded } from "../../run/embedded.ts";

declare module "vitest" {
  export interface ProvidedContext {
    /** The server that tests use: CHUB_TEST_DATABASE_URL, else an embedded one. */
    serverUrl: string;
    template: string;
  }
}

/** Provides one server for the whole run, with a migrated database that each test file clones. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const named = Deno.env.get("CHUB_TEST_DATABASE_URL");
  const home = import.meta.dirname!.replace(/\/tests\/helpers$/, "");
  const folder = named === undefined ? await Deno.makeTempDir({ prefix: "chub-test-" }) : undefined;
  if (folder !== undefined) await Deno.chmod(folder, 0o755);
  const embedded = folder === undefined
    ? undefined
    : await startEmbedded({ dataDir: `${folder}/pg`, home, durable: false });
  const serverUrl = named ?? embedded!.url;
  const template = `chub_template_${Deno.pid}`;
  const server = openDatabase(serverUrl, { max: 1 });
  await server.unsafe(`create database ${template}`);
  const url = new URL(serverUrl);
  url.pathname = `/${template}`;
  const stop = async () => {
    await server.unsafe(`drop database if exists ${template}`);
    await server.end();
    await embedded?.stop();
    if (folder === undefined) return;
    await Deno.remove(folder, { recursive: true });
    // The data moved here because the database's user could not enter the temporary folder.
    if (embedded?.moved !== undefined) {
      await Deno.remove(embedded.dataDir.replace(/\/pg$/, ""), { recursive: true });
    }
  };
  const sql = openDatabase(url.href, { max: 1 });
  try {
    await migrate(sql);
  } catch (error) {
    // Vitest ends nothing that a failed setup has started.
    await sql.end();
    await stop();
    throw error;
  }
  await sql.end();
  project.provide("serverUrl", serverUrl);
  project.provide("template", template);
  return stop;
}
