import { HubError } from "../../errors.ts";
import type { Db } from "./queryable.ts";
import { LOCKS } from "./locks.ts";

/**
 * The version of this code. A migration states the oldest code that it is compatible with; older code refuses to start.
 */
export const CODE = 11;

const FOLDER = new URL("../migrations/", import.meta.url);
/** Every migration, in order. This table alone decides what runs. */
const MIGRATIONS = [
  "0001_hub",
  "0002_auth",
  "0003_samples",
  "0004_axes",
  "0005_pieces_aliases",
  "0006_retention",
  "0007_reads",
  "0008_run_identity",
  "0009_scrape_samples",
  "0010_submissions",
  "0011_hub_id",
] as const;

export interface Migration {
  number: number;
  name: string;
  oldestCode: number;
  text: string;
}

/** Reads the migration files. @throws HubError if a file does not state its oldest code */
async function readMigrations(): Promise<Migration[]> {
  return await Promise.all(MIGRATIONS.map(async (name) => {
    const text = await Deno.readTextFile(new URL(`${name}.sql`, FOLDER));
    const oldest = /^-- oldest code: (\d+)$/m.exec(text)?.[1];
    if (oldest === undefined) {
      throw new HubError("INTERNAL_SERVER_ERROR", `Migration ${name} does not state its oldest code.`);
    }
    return { number: Number(name.slice(0, 4)), name, oldestCode: Number(oldest), text };
  }));
}

/**
 * Applies pending migrations, each in its own transaction; safe to call in several processes at once. Returns the names
 * of the applied migrations.
 * @throws HubError CONFLICT if the database is newer than this code and no longer compatible with it
 */
export async function migrate(sql: Db): Promise<string[]> {
  const migrations = await readMigrations();
  return await sql.begin(async (tx) => {
    await tx`select pg_advisory_xact_lock(${LOCKS.migrate})`;
    await tx`
      create table if not exists migrations (
        number integer primary key,
        name text not null,
        oldest_code integer not null,
        applied_at timestamptz not null default now()
      )`;
    const applied = await tx<{ number: number; name: string; oldestCode: number }[]>`
      select number, name, oldest_code as "oldestCode" from migrations order by number`;
    const newest = applied.findLast((row) => row.oldestCode > CODE);
    if (newest !== undefined) {
      throw new HubError(
        "CONFLICT",
        `The database has migration ${newest.name}, which requires code version ${newest.oldestCode} or newer; this is code ${CODE}. Start a newer hub.`,
      );
    }
    const known = new Set(applied.map((row) => row.number));
    const names: string[] = [];
    for (const migration of migrations) {
      if (known.has(migration.number)) continue;
      await tx.unsafe(migration.text).simple();
      await tx`
        insert into migrations (number, name, oldest_code)
        values (${migration.number}, ${migration.name}, ${migration.oldestCode})`;
      names.push(migration.name);
    }
    // After a restore to another server, its transaction ids are lower than those in `runs.written_in`.
    await tx`
      update runs set updated_at = updated_at where written_in >= pg_snapshot_xmax(pg_current_snapshot())`;
    return names;
  });
}

export interface DatabaseState {
  /** Names of migrations that have not been applied. */
  pending: string[];
  /** True for a standby, or a server during a failover. */
  isReadOnly: boolean;
}

/**
 * Reads the pending migrations and whether the database is read-only.
 * @throws the driver's error if the database is unavailable
 */
export async function getDatabaseState(sql: Db): Promise<DatabaseState> {
  const [state] = await sql<{ present: boolean; isReadOnly: boolean }[]>`
    select to_regclass('migrations') is not null as present,
      current_setting('transaction_read_only')::boolean as "isReadOnly"`;
  const rows = state!.present ? await sql`select name from migrations` : [];
  const applied = new Set(rows.map((row) => row.name));
  return { pending: MIGRATIONS.filter((name) => !applied.has(name)), isReadOnly: state!.isReadOnly };
}
