import { afterAll, beforeAll, expect } from "vitest";
import { allRoutes } from "../../app.ts";
import { createDirectory } from "../../auth/ldap.ts";
import { type TestApp, testApp } from "../helpers/app.ts";
import { Browser } from "../helpers/browser.ts";
import { hasProgram, requires } from "../helpers/require.ts";
import { BASE, PASSWORD, type Slapd, startSlapd } from "../helpers/slapd.ts";

const isThere = ["slapd", "slapadd", "ldapmodify", "openssl"].every(hasProgram);
const test = requires("slapd", isThere, "apt-get install slapd ldap-utils openssl");

let slapd: Slapd;
let app: TestApp;
let secretFile: string;
const RECHECK_MS = 301_000;

beforeAll(async () => {
  if (!isThere) return;
  slapd = await startSlapd();
  secretFile = await Deno.makeTempFile();
  await Deno.writeTextFile(secretFile, `${slapd.service.password}\n`);
  app = await testApp({
    TRUST_PROXY: "127.0.0.1",
    LDAP_URL: `ldaps://localhost:1 ${slapd.ldaps}`,
    LDAP_CA_FILE: slapd.certificates.ca,
    LDAP_SEARCH_BASE: `ou=people,${BASE}`,
    LDAP_USER_FILTER: "(&(uid={user})(!(pwdAccountLockedTime=*)))",
    LDAP_SERVICE_DN: slapd.service.dn,
    LDAP_SERVICE_PASSWORD_FILE: secretFile,
    LDAP_GROUP_BASE: `ou=groups,${BASE}`,
    LDAP_ROLES: `admin=CN=hub-admins, ou=groups, ${BASE}; submitter=hub-submitters`,
    LDAP_TIMEOUT: "30",
    READ_REQUIRES_LOGIN: "true",
  });
});
afterAll(async () => {
  await app?.close();
  await slapd?.remove();
});

async function signedIn(name: string): Promise<Browser> {
  const browser = new Browser(app);
  const response = await browser.signIn(name, PASSWORD);
  expect([name, response.status]).toEqual([name, 200]);
  await response.body?.cancel();
  return browser;
}

const rolesOf = async (browser: Browser) => (await (await browser.ask("GET", "/api/auth/me")).json()).roles;

test("roles come from groups, by DN or plain name, and the admin token cannot sign in", async () => {
  expect(await rolesOf(await signedIn("ada"))).toEqual(["viewer", "admin"]);
  expect(await rolesOf(await signedIn("bob"))).toEqual(["viewer", "submitter"]);
  expect(await rolesOf(await signedIn("eve"))).toEqual(["viewer"]);
  expect((await new Browser(app).signIn("admin", app.token)).status).toBe(401);
  expect((await app.ask("GET", "/api/tests")).status).toBe(200);
});

test("groups are also read from memberOf", async () => {
  await slapd.modify(
    `dn: cn=late,ou=groups,${BASE}\nchangetype: add\nobjectClass: groupOfNames\ncn: late\nmember: uid=eve,ou=people,${BASE}\n`,
  );
  const directory = createDirectory({
    urls: [slapd.ldaps],
    ca: await Deno.readTextFile(slapd.certificates.ca),
    bindTemplate: undefined,
    searchBase: `ou=people,${BASE}`,
    userFilter: "(uid={user})",
    userAttribute: "uid",
    service: slapd.service,
    groupBase: undefined,
    groupFilter: "(member={dn})",
    timeoutMs: 30_000,
  });
  expect((await directory.signIn("eve", PASSWORD))!.groups).toEqual([`cn=late,ou=groups,${BASE}`]);
});

test("every route admits exactly the callers with its role", async () => {
  const people = {
    nobody: new Browser(app),
    viewer: await signedIn("eve"),
    submitter: await signedIn("bob"),
    admin: await signedIn("ada"),
  };
  const roles: Record<string, string[]> = {
    nobody: [],
    viewer: ["viewer"],
    submitter: ["viewer", "submitter"],
    admin: ["viewer", "submitter", "ingester", "triager", "admin"],
  };
  const { routes, extra } = allRoutes();
  for (const { method, path, role, isOpen } of [...routes, ...extra]) {
    if (path.startsWith("/api/auth/log")) continue;
    // READ_REQUIRES_LOGIN is set: `anyone` means viewer, except on open routes.
    const wanted = role === "anyone" ? isOpen ? "anyone" : "viewer" : role;
    for (const [who, browser] of Object.entries(people)) {
      const response = await browser.ask(
        method,
        path.replace(/\{\w+\}/g, "999"),
        method === "GET" ? {} : { body: {} },
      );
      await response.body?.cancel();
      const isIn = wanted === "anyone" || roles[who]!.includes(wanted);
      const expected = isIn ? "in" : who === "nobody" ? 401 : 403;
      const actual = [401, 403].includes(response.status) ? response.status : "in";
      expect([who, method, path, actual]).toEqual([who, method, path, expected]);
    }
  }
});

test("a removed group and a locked account take effect at the next recheck, for tokens too", async () => {
  const bob = await signedIn("bob");
  const made = await bob.ask("POST", "/api/auth/tokens", {
    body: { name: "ci", scopes: ["submit", "read"] },
  });
  const { token } = await made.json();
  const byToken = () =>
    app.ask("GET", "/api/auth/me", { signedOut: true, headers: { authorization: `Bearer ${token}` } });
  await slapd.modify(
    `dn: cn=hub-submitters,ou=groups,${BASE}\nchangetype: modify\ndelete: member\nmember: uid=bob,ou=people,${BASE}\n`,
  );
  expect(await rolesOf(bob)).toContain("submitter");
  app.clock.offsetMs += RECHECK_MS;
  expect(await rolesOf(bob)).toEqual(["viewer"]);
  expect((await (await byToken()).json()).roles).toEqual(["viewer"]);
  await slapd.modify(
    `dn: uid=bob,ou=people,${BASE}\nchangetype: modify\nadd: pwdAccountLockedTime\npwdAccountLockedTime: 000001010000Z\n`,
  );
  app.clock.offsetMs += RECHECK_MS;
  expect(await rolesOf(bob)).toEqual([]);
  expect((await byToken()).status).toBe(401);
  expect((await app.sql`select hash from sessions where person = 'bob'`).length).toBe(0);
  await slapd.modify(
    `dn: uid=bob,ou=people,${BASE}\nchangetype: modify\ndelete: pwdAccountLockedTime\n`,
  );
  expect(await rolesOf(await signedIn("bob"))).toEqual(["viewer"]);
});

test("while the directory is unreachable sign-in and due writes are a 503, and reads work", async () => {
  const ada = await signedIn("ada");
  await slapd.kill();
  const response = await new Browser(app).signIn("ada", PASSWORD);
  expect([response.status, response.headers.get("retry-after")]).toEqual([503, "10"]);
  expect(await response.text()).not.toContain(slapd.ldaps);
  // The passwords were not checked, so these attempts do not count.
  for (let n = 0; n < 8; n++) expect((await new Browser(app).signIn("ada", PASSWORD)).status).toBe(503);
  const make = () => ada.ask("POST", "/api/tests", { body: { name: crypto.randomUUID(), scraper: "push" } });
  expect((await make()).status).toBe(201);
  app.clock.offsetMs += RECHECK_MS;
  expect((await ada.ask("GET", "/api/tests")).status).toBe(200);
  const waiting = await make();
  expect([waiting.status, waiting.headers.get("retry-after")]).toEqual([503, "10"]);
  await slapd.start();
  app.clock.offsetMs += 11_000;
  expect((await make()).status).toBe(201);
});

test("no secret is in the logs, the audit log, or any table", async () => {
  const ada = await signedIn("ada");
  const cookie = ada.cookies.get("__Host-chub")!;
  const made = await ada.ask("POST", "/api/auth/tokens", { body: { name: "ci", scopes: ["read"] } });
  const { token } = await made.json();
  await new Browser(app).signIn("ada", "a wrong guess");
  await new Browser(app).signIn("typed a password here", PASSWORD);
  const settings = { url: "https://user:hidden@example.test/", pattern: "(?<changelist>\\d+)" };
  await ada.ask("POST", "/api/tests", { body: { name: "secret", scraper: "files", settings } });
  const tables = await app.sql<{ name: string }[]>`
    select table_schema || '.' || table_name as name from information_schema.tables
    where table_schema not in ('pg_catalog', 'information_schema') and table_type = 'BASE TABLE'`;
  const texts = [...app.logged];
  for (const { name } of tables) {
    const rows = await app.sql.unsafe(`select to_jsonb(t)::text as row from ${name} as t`);
    texts.push(...rows.map((row) => `${name} ${row.row}`));
  }
  const secrets = [
    PASSWORD,
    app.token,
    cookie,
    token,
    slapd.service.password,
    "a wrong guess",
    "typed a password here",
  ];
  for (const secret of secrets) {
    const found = texts.filter((text) => text.includes(secret));
    expect([secret.slice(0, 8), found]).toEqual([secret.slice(0, 8), []]);
  }
});

test("an unknown name takes as long as a known one", async () => {
  const timed = async (name: string) => {
    await app.sql`delete from throttles`;
    const began = performance.now();
    expect((await new Browser(app).signIn(name, "wrong")).status).toBe(401);
    return performance.now() - began;
  };
  await timed("ada");
  // Other load only lengthens times, for both alike: measurements alternate, and the minimum of each counts.
  let [known, unknown] = [Infinity, Infinity];
  for (let tries = 1; tries <= 200; tries++) {
    known = Math.min(known, await timed("ada"));
    unknown = Math.min(unknown, await timed("nobody"));
    if (tries >= 20 && ratioOf(known, unknown) < 1.25) break;
  }
  expect(ratioOf(known, unknown)).toBeLessThan(1.25);
}, 900_000);

function ratioOf(one: number, other: number): number {
  return Math.max(one, other) / Math.min(one, other);
}
