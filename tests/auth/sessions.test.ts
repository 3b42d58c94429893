import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { type TestApp, testApp } from "../helpers/app.ts";
import { stopClock } from "../helpers/clock.ts";
import { Browser } from "../helpers/browser.ts";

let app: TestApp;
beforeAll(async () => {
  app = await testApp({ TRUST_PROXY: "127.0.0.1", SESSION_IDLE: "3600", SESSION_MAX: "86400" });
});
afterEach(async () => {
  app.clock.offsetMs = 0;
  await app.sql`delete from throttles`;
});
afterAll(() => app.close());

const meOf = async (browser: Browser) => (await browser.ask("GET", "/api/auth/me")).json();

async function signedIn(): Promise<Browser> {
  const browser = new Browser(app);
  expect((await browser.signIn("admin", app.token)).status).toBe(200);
  return browser;
}

test("without a directory the admin token signs in, and the cookie is one that only this host gets, over https", async () => {
  const browser = new Browser(app);
  expect(await meOf(browser)).toEqual({ name: null, roles: [], via: null, scopes: null, expiresAt: null });
  const response = await browser.signIn("admin", app.token);
  expect(await response.json()).toMatchObject({ name: "admin", roles: ["viewer", "admin"], via: "session" });
  const [cookie] = response.headers.getSetCookie();
  expect(cookie).toMatch(/^__Host-chub=[\w-]{43}; /);
  for (const part of ["HttpOnly", "Secure", "SameSite=Lax", "Path=/", "Max-Age=86400"]) {
    expect(cookie).toContain(part);
  }
  expect(cookie).not.toContain("Domain");
  expect(await meOf(browser)).toMatchObject({ name: "admin", via: "session" });
});

test("the cookie's id is not stored", async () => {
  const browser = await signedIn();
  const id = browser.cookies.get("__Host-chub")!;
  const rows = await app.sql`select to_jsonb(sessions)::text as row from sessions`;
  expect(rows.length).toBeGreaterThan(0);
  for (const { row } of rows) expect(row).not.toContain(id);
});

test("wrong names and wrong passwords are refused with the same response", async () => {
  const details = new Set<string>();
  for (
    const [name, password] of [["admin", "wrong"], ["ada", app.token], ["admin", ""], [
      "Admin ",
      app.token,
    ]] as const
  ) {
    const response = await new Browser(app).signIn(name, password);
    expect(response.status).toBe(401);
    expect(response.headers.getSetCookie()).toEqual([]);
    details.add((await response.json()).detail);
  }
  expect([...details]).toEqual(["The name or the password is wrong."]);
});

test("signing in again creates a new session and ends the old one", async () => {
  const browser = await signedIn();
  const first = browser.cookies.get("__Host-chub")!;
  await browser.signIn("admin", app.token);
  expect(browser.cookies.get("__Host-chub")).not.toBe(first);
  const old = new Browser(app);
  old.cookies.set("__Host-chub", first);
  expect((await meOf(old)).name).toBeNull();
});

test("a session ends when idle, at its maximum age, at sign-out, and with `everywhere` for all of a person", async () => {
  const idle = await signedIn();
  app.clock.offsetMs = 3_601_000;
  expect((await meOf(idle)).name).toBeNull();

  app.clock.offsetMs = 0;
  const used = await signedIn();
  for (let hours = 0.5; hours < 24; hours += 0.5) {
    app.clock.offsetMs = hours * 3_600_000;
    expect((await meOf(used)).name).toBe("admin");
  }
  app.clock.offsetMs = 24 * 3_600_000 + 1000;
  expect((await meOf(used)).name).toBeNull();

  app.clock.offsetMs = 0;
  const [one, other] = [await signedIn(), await signedIn()];
  expect((await one.ask("POST", "/api/auth/logout", { body: {} })).status).toBe(200);
  expect(one.cookies.size).toBe(0);
  expect((await meOf(other)).name).toBe("admin");
  const third = await signedIn();
  await third.ask("POST", "/api/auth/logout", { body: { everywhere: true } });
  expect((await meOf(other)).name).toBeNull();
});

test("requests that another site makes a browser send change nothing", async () => {
  const browser = await signedIn();
  const make = (headers: Record<string, string | undefined>, path = "/api/tests") =>
    browser.ask("POST", path, { body: { name: crypto.randomUUID(), scraper: "push" }, headers });
  expect((await make({})).status).toBe(201);
  for (
    const headers of [
      { origin: "https://evil.test", "sec-fetch-site": "cross-site" },
      { origin: "https://evil.test", "sec-fetch-site": undefined },
      { origin: "https://evil.hub.test", "sec-fetch-site": "same-site" },
      { origin: undefined, "sec-fetch-site": "cross-site" },
      { origin: undefined, "sec-fetch-site": undefined },
      { origin: "null", "sec-fetch-site": undefined },
      { origin: "http://hub.test", "sec-fetch-site": undefined },
      { origin: "https://evil.test", "sec-fetch-site": "same-origin" },
    ]
  ) {
    expect([headers, (await make(headers)).status]).toEqual([headers, 403]);
    expect((await make(headers, "/api/trpc/tests.create")).status).toBe(403);
    const login = await browser.signIn("admin", app.token, headers);
    const isScript = headers.origin === undefined && headers["sec-fetch-site"] === undefined;
    if (!isScript) expect([headers, login.status]).toEqual([headers, 403]);
  }
});

test("sign-in works over https or from this machine, but not through an untrusted proxy", async () => {
  const login = (headers: Record<string, string>, remote: string) =>
    app.ask("POST", "/api/auth/login", {
      signedOut: true,
      body: { name: "admin", password: app.token },
      headers,
      remote,
    });
  const local = await app.ask("POST", "/api/auth/login", {
    signedOut: true,
    body: { name: "admin", password: app.token },
  });
  expect(local.status).toBe(200);
  expect(local.headers.getSetCookie()[0]).toMatch(/^chub=[\w-]{43}; (?!.*Secure)/);
  expect((await login({}, "192.0.2.1")).status).toBe(403);
  expect((await login({ "x-forwarded-proto": "https" }, "192.0.2.1")).status).toBe(403);
  expect(
    (await login({ "x-forwarded-for": "198.51.100.1", "x-forwarded-proto": "http" }, "127.0.0.1")).status,
  )
    .toBe(403);
});

test("failed sign-ins wait longer and longer, per account and address, until one succeeds, without a lockout", async () => {
  stopClock();
  const guess = async (address: string, password = "wrong") => {
    const response = await new Browser(app, address).signIn("admin", password);
    await response.body?.cancel();
    return { status: response.status, retryAfter: Number(response.headers.get("retry-after")) };
  };
  // Lets time pass in the throttle's store.
  const wait = (seconds: number) =>
    app.sql`update throttles set expire = expire - ${seconds * 1000} where key like 'wait%'`;
  for (let n = 0; n < 6; n++) expect((await guess(`198.51.100.${n}`)).status).toBe(401);
  const waits: number[] = [];
  for (let n = 0; n < 8; n++) {
    const { status, retryAfter } = await guess("198.51.100.99", app.token);
    expect(status).toBe(429);
    waits.push(retryAfter);
    await wait(retryAfter);
    expect((await guess(`203.0.113.${n}`)).status).toBe(401);
  }
  expect(waits.every((wait, at) => at === 0 || wait >= waits[at - 1]!)).toBe(true);
  expect(waits.at(-1)).toBe(60);
  await wait(60);
  expect((await guess("198.51.100.99", app.token)).status).toBe(200);
  expect((await guess("198.51.100.99")).status).toBe(401);
  expect((await guess("198.51.100.99", app.token)).status).toBe(200);
});

test("an address that tries many names waits too; other addresses do not", async () => {
  stopClock();
  const attempt = (name: string, address: string) => new Browser(app, address).signIn(name, "wrong");
  for (let n = 0; n < 21; n++) expect((await attempt(`name ${n}`, "198.51.100.7")).status).toBe(401);
  expect((await attempt("another", "198.51.100.7")).status).toBe(429);
  expect((await attempt("another", "198.51.100.8")).status).toBe(401);
});

test("concurrent sign-ins get no more password checks than sequential ones", async () => {
  stopClock();
  const answers = await Promise.all(
    Array.from({ length: 30 }, (_, at) => new Browser(app, `192.0.2.${at}`).signIn("admin", "wrong")),
  );
  const looked = answers.filter((answer) => answer.status === 401).length;
  expect(looked).toBeLessThanOrEqual(7);
  expect(answers.filter((answer) => answer.status === 429)).toHaveLength(30 - looked);
});
