import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { openDatabase } from "../../db/core/client.ts";
import { type TestApp, testApp } from "../helpers/app.ts";
import { Browser } from "../helpers/browser.ts";

/** The hub on a server that fails with the SQLSTATE set by a switch. */
let app: TestApp;
beforeAll(async () => {
  app = await testApp({ TRUST_PROXY: "127.0.0.1" });
  await app.sql.unsafe(`
    create table refusal (code text);
    create function refuse() returns trigger language plpgsql as $$
      declare refused text;
      begin
        select code into refused from refusal;
        if refused is not null then raise exception 'no words of the server' using errcode = refused; end if;
        return coalesce(new, old);
      end $$;
    create trigger refuse before insert or update on tests for each row execute function refuse();
    create trigger refuse before insert on results for each row execute function refuse();
    create trigger refuse before insert on throttles for each row execute function refuse();`);
});
afterAll(() => app.close());

async function refusing(code: string | null): Promise<void> {
  await app.sql.unsafe("truncate refusal");
  if (code !== null) await app.sql.unsafe("insert into refusal values ($1)", [code]);
}

let pushes = 0;
const push = () =>
  app.ask("POST", "/api/results", {
    body: {
      test: "pushed",
      changelist: 1,
      externalId: `run ${pushes++}`,
      results: [{ case: "a", outcome: "passed" }],
    },
  });
const writes: Record<string, () => Promise<Response>> = {
  "a push": push,
  "a write": () => app.ask("POST", "/api/tests", { body: { name: `t${pushes++}`, scraper: "push" } }),
  "a write by tRPC": () =>
    app.ask("POST", "/api/trpc/tests.create", { body: { name: `t${pushes++}`, scraper: "push" } }),
};

test.each([
  ["25006", 503],
  ["57014", 503],
  ["57P01", 503],
  ["53000", 503],
  ["53100", 507],
  ["53200", 503],
  ["53300", 503],
  ["53400", 503],
  ["28000", 503],
  ["42501", 503],
  ["55000", 503],
  ["40001", 503],
  ["40P01", 503],
  ["55P03", 503],
  ["08006", 503],
  ["58030", 503],
])("a write that the server refuses with %s is a %i with Retry-After, logged once", async (code, status) => {
  expect((await push()).ok).toBe(true);
  for (const [name, write] of Object.entries(writes)) {
    await refusing(code);
    app.clock.offsetMs += 600_000;
    const logged = app.logged.length;
    for (let at = 0; at < 3; at++) {
      const response = await write();
      const body = await response.text();
      expect([name, response.status, body]).toEqual([name, status, expect.stringContaining('"code"')]);
      expect(body).not.toContain("no words");
      expect(Number(response.headers.get("retry-after"))).toBeGreaterThan(0);
    }
    expect(app.logged.slice(logged)).toEqual([expect.stringContaining("no words of the server")]);
    await refusing(null);
    expect((await write()).ok).toBe(true);
  }
});

test("an error for rows is recognized by its code, even if the server reports it after their end", async () => {
  await push();
  await app.sql.unsafe("alter table tests disable trigger refuse");
  await app.sql.unsafe("alter table throttles disable trigger refuse");
  await refusing("53100");
  for (let at = 0; at < 20; at++) expect((await push()).status).toBe(507);
  await refusing(null);
  expect((await push()).status).toBe(201);
});

test("on a read-only server reads work, for signed-in users too, writes are a 503, and `ready` reports it", async () => {
  const name = new URL(app.config.databaseUrl!).pathname.slice(1);
  const browser = new Browser(app);
  expect((await browser.signIn("admin", app.token)).status).toBe(200);
  const server = openDatabase(inject("serverUrl"), { max: 1 });
  const setReadOnly = async (to: boolean) => {
    await server.unsafe(`alter database ${name} set default_transaction_read_only = ${to}`);
    await server`select pg_terminate_backend(pid) from pg_stat_activity where datname = ${name}`;
    // A request on a connection that was ended is a 503, once.
    await expect.poll(async () => (await app.ask("GET", "/api/tests")).status).toBe(200);
  };
  await setReadOnly(true);
  try {
    // The session's last use is due to be stored.
    app.clock.offsetMs += 120_000;
    expect((await browser.ask("GET", "/api/tests")).status).toBe(200);
    expect((await (await browser.ask("GET", "/api/auth/me")).json()).name).toBe("admin");
    for (const [what, write] of Object.entries(writes)) {
      const response = await write();
      expect([what, response.status, (await response.json()).detail]).toEqual([
        what,
        503,
        expect.stringContaining("read-only"),
      ]);
    }
    const ready = await app.ask("GET", "/api/health/ready");
    expect([ready.status, (await ready.json()).checks[0]]).toEqual([503, {
      name: "database",
      state: "bad",
      detail: "is read-only",
    }]);
  } finally {
    await setReadOnly(false);
    await server.end();
  }
  expect((await push()).status).toBe(201);
  expect((await app.ask("GET", "/api/health/ready")).status).toBe(200);
});

test("a statement_timeout of the server is a 503, for reads too", async () => {
  const name = new URL(app.config.databaseUrl!).pathname.slice(1);
  const server = openDatabase(inject("serverUrl"), { max: 1 });
  const setTimeout = async (to: string) => {
    await server.unsafe(`alter database ${name} set statement_timeout = '${to}'`);
    await server`select pg_terminate_backend(pid) from pg_stat_activity where datname = ${name}`;
    await expect.poll(async () => (await app.ask("GET", "/api/axes")).status).toBe(200);
  };
  await setTimeout("1s");
  const locker = openDatabase(app.config.databaseUrl!, { max: 1 });
  try {
    await locker.begin(async (tx) => {
      await tx.unsafe("set local statement_timeout = 0; lock table tests in access exclusive mode");
      const read = await app.ask("GET", "/api/tests");
      expect([read.status, (await read.json()).detail]).toEqual([503, expect.stringContaining("time limit")]);
    });
  } finally {
    await setTimeout("0");
    await Promise.all([locker.end(), server.end()]);
  }
});
