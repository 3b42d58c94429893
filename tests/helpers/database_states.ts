import type { Db } from "../../db/core/queryable.ts";
import type { Random } from "./faults.ts";
import { until } from "./lab.ts";
import type { OwnPostgres } from "./own_postgres.ts";
import { endProcess } from "./processes.ts";

export interface StateWorld {
  server: OwnPostgres;
  /** A superuser's connection to the hub's database. */
  sql: Db;
  random: Random;
  /** Whether the state has made every push in progress fail more than once. */
  hasFailed(): boolean;
}

const EVERY_MS = 30;

/** Puts the database into a state, and ends the state once pushes have failed because of it. */
type State = (world: StateWorld) => Promise<void>;

/** Retries an action, because the server may still be restarting after an earlier state. */
export async function persist<T>(work: () => PromiseLike<T>): Promise<T> {
  const found = await until(
    async () => await work().then((value) => ({ value }), () => undefined),
    (one) => one !== undefined,
  );
  return found!.value;
}

/** Ends all connections of the hub, its watchdog's too. */
async function endConnections({ server: { admin } }: StateWorld): Promise<void> {
  await persist(() => admin`select pg_terminate_backend(pid) from pg_stat_activity where usename = 'hub'`);
}

/** Runs `begin`, waits until pushes fail, then runs `end`. Ends connections before both, because new ones read the settings. */
async function within(world: StateWorld, begin: string, end: string): Promise<void> {
  const { admin } = world.server;
  await persist(() => admin.unsafe(begin));
  await repeatUntilFailed(world, () => endConnections(world));
  await persist(() => admin.unsafe(end));
  await endConnections(world);
}

async function repeatUntilFailed(
  world: StateWorld,
  act = () => Promise.resolve<unknown>(undefined),
): Promise<void> {
  await until(async () => {
    await act();
    await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
    return world.hasFailed();
  }, Boolean);
}

function setting(name: string, values: readonly string[]): State {
  return (world) =>
    within(
      world,
      `alter database hub set ${name} = '${world.random.pick(values)}'`,
      `alter database hub reset ${name}`,
    );
}

const BACKENDS = "select pid from pg_stat_activity where usename = 'hub' and backend_type = 'client backend'";

/** Tables that every push writes. */
const WRITTEN = ["runs", "results", "idempotency_keys", "audit"];

export const STATES: Record<string, State> = {
  "read-only": setting("default_transaction_read_only", ["on"]),
  "statements time out": setting("statement_timeout", ["1ms", "3ms"]),
  "transactions time out": setting("transaction_timeout", ["2ms", "5ms"]),
  "idle transactions time out": setting("idle_in_transaction_session_timeout", ["1ms"]),
  "no connection is left": (world) =>
    within(world, "alter database hub connection limit 0", "alter database hub connection limit -1"),
  "no connection is allowed": (world) =>
    within(world, "alter database hub allow_connections false", "alter database hub allow_connections true"),
  "the user may not sign in": (world) => within(world, "alter role hub nologin", "alter role hub login"),
  "the user may not connect": (world) =>
    within(
      world,
      "revoke connect on database hub from public, hub",
      "grant connect on database hub to public, hub",
    ),
  "the database is missing": async (world) => {
    await rename(world, "hub", "hub_elsewhere");
    await repeatUntilFailed(world);
    await rename(world, "hub_elsewhere", "hub");
  },
  "statements are cancelled": (world) =>
    repeatUntilFailed(
      world,
      () =>
        persist(() =>
          world.server.admin.unsafe(`select pg_cancel_backend(pid) from (${BACKENDS}) as backends`)
        ),
    ),
  "connections are ended": (world) => repeatUntilFailed(world, () => endConnections(world)),
  "a server process is killed": async (world) => {
    await repeatUntilFailed(world, async () => {
      const rows = await world.server.admin.unsafe<{ pid: number }[]>(BACKENDS).catch(() => []);
      if (rows.length > 0) endProcess(world.random.pick(rows).pid, "SIGKILL");
    });
  },
  "the server is restarted": (world) => repeatUntilFailed(world, () => world.server.restart()),
  "a table is locked": async (world) => {
    const table = world.random.pick(WRITTEN);
    await persist(() => world.sql`select 1`);
    await world.sql.begin(async (tx) => {
      await tx.unsafe(`lock table ${table} in access exclusive mode`);
      await repeatUntilFailed(world);
    });
  },
  "a disk is full": (world) => refuse(world, "53100"),
  "a resource is short": (world) => refuse(world, world.random.pick(["53000", "53200", "53400"])),
};

async function rename({ server: { admin } }: StateWorld, from: string, to: string): Promise<void> {
  // New connections may appear between the two statements.
  await persist(async () => {
    await admin`select pg_terminate_backend(pid) from pg_stat_activity where datname = ${from}`;
    await admin.unsafe(`alter database ${from} rename to ${to}`);
  });
}

async function refuse(world: StateWorld, code: string): Promise<void> {
  await persist(() => world.sql`insert into refusal (code) values (${code})`);
  await repeatUntilFailed(world);
  await persist(() => world.sql`delete from refusal`);
}

/** Makes the hub's database reject results with the SQLSTATE in a table, like a server that lacks a resource. */
export async function prepareStates(sql: Db): Promise<void> {
  await sql.unsafe(`
    create table refusal (code text);
    create function refuse() returns trigger language plpgsql security definer as $$
      declare refused text;
      begin
        select code into refused from refusal;
        if refused is not null then raise exception 'refused by a test' using errcode = refused; end if;
        return new;
      end $$;
    create trigger refuse before insert on results for each row execute function refuse();`);
}
