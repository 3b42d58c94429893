import { afterAll, beforeAll, expect, test } from "vitest";
import { clientOf } from "../../auth/client.ts";
import { loadConfig } from "../../config/config.ts";
import { HOME, type TestApp, testApp } from "../helpers/app.ts";
import { stopClock } from "../helpers/clock.ts";

let app: TestApp;
beforeAll(async () => {
  app = await testApp({
    TRUST_PROXY: "127.0.0.1",
    CORS_ORIGINS: "https://ci.test",
    RATE_READS: "40",
    RATE_WRITES: "5",
  });
});
afterAll(() => app.close());

test("every response has the security headers for browsers", async () => {
  for (const path of ["/api/health/live", "/api/nope", "/", "/api/docs", "/api/tests"]) {
    const { headers } = await app.ask("GET", path, { headers: { accept: "text/html" } });
    expect(headers.get("x-content-type-options")).toBe("nosniff");
    expect(headers.get("content-security-policy")).toContain("frame-ancestors 'none'");
    expect(headers.get("referrer-policy")).toBe("same-origin");
    expect(headers.get("permissions-policy")).toContain("camera=()");
    expect(headers.has("strict-transport-security")).toBe(false);
  }
  const secure = await app.ask("GET", "/api/health/live", {
    headers: { "x-forwarded-proto": "https", "x-forwarded-for": "192.0.2.9" },
  });
  expect(secure.headers.get("strict-transport-security")).toContain("max-age=31536000");
});

test("only listed origins may make cross-origin requests, and never with cookies", async () => {
  const preflight = (origin: string) =>
    app.ask("OPTIONS", "/api/tests", {
      signedOut: true,
      headers: { origin, "access-control-request-method": "POST" },
    });
  const listed = await preflight("https://ci.test");
  expect(listed.headers.get("access-control-allow-origin")).toBe("https://ci.test");
  expect(listed.headers.has("access-control-allow-credentials")).toBe(false);
  expect((await preflight("https://evil.test")).headers.has("access-control-allow-origin")).toBe(false);
});

test("reads and writes are counted per caller; beyond the limit is a 429 with Retry-After", async () => {
  stopClock();
  const ask = (address: string) =>
    app.ask("GET", "/api/tests", { signedOut: true, headers: { "x-forwarded-for": address } });
  const first = await ask("192.0.2.1");
  expect(first.headers.get("ratelimit-policy")).toBe('"reads";q=40;w=60');
  expect(first.headers.get("ratelimit")).toMatch(/^"reads";r=39;t=(?:60|59)$/);
  for (let n = 0; n < 39; n++) await (await ask("192.0.2.1")).body?.cancel();
  const over = await ask("192.0.2.1");
  expect(over.status).toBe(429);
  expect(Number(over.headers.get("retry-after"))).toBeGreaterThan(50);
  expect(over.headers.get("ratelimit")).toMatch(/^"reads";r=0;t=\d+$/);
  expect((await ask("192.0.2.2")).status).toBe(200);
  expect((await app.ask("GET", "/api/health/live", { headers: { "x-forwarded-for": "192.0.2.1" } })).status)
    .toBe(200);
  const compare = () =>
    app.ask("GET", "/api/results/summary?test=x", {
      signedOut: true,
      headers: { "x-forwarded-for": "192.0.2.3" },
    });
  for (let n = 0; n < 4; n++) expect((await compare()).status).toBe(404);
  expect((await compare()).status).toBe(429);

  const write = () => app.ask("POST", "/api/tests", { body: { name: "x", scraper: "nope" } });
  for (let n = 0; n < 5; n++) expect((await write()).status).toBe(400);
  expect((await write()).status).toBe(429);
});

test("a request line with https does not make a request secure", () => {
  const of = (peer: string) => clientOf(new Request("https://hub.test/x"), peer, ["10.0.0.1"]);
  for (const peer of ["192.0.2.1", "10.0.0.1"]) {
    expect(of(peer)).toMatchObject({ isSecure: false, origin: "http://hub.test" });
  }
});

test("the client's address is the peer's, or the one that a trusted proxy states", () => {
  const of = (peer: string, headers: Record<string, string>, trusted = ["10.0.0.1", "10.0.0.2"]) =>
    clientOf(new Request("http://hub.test/x", { headers }), peer, trusted);
  expect(of("192.0.2.1", {})).toMatchObject({ address: "192.0.2.1", isSecure: false, isLocal: false });
  expect(of("192.0.2.1", { "x-forwarded-for": "127.0.0.1", "x-forwarded-proto": "https" })).toMatchObject({
    address: "192.0.2.1",
    isSecure: false,
    isLocal: false,
  });
  expect(of("10.0.0.1", { "x-forwarded-for": "1.1.1.1, 192.0.2.7, 10.0.0.2", "x-forwarded-proto": "https" }))
    .toMatchObject({ address: "192.0.2.7", isSecure: true, isLocal: false });
  expect(of("::ffff:10.0.0.1", { "x-forwarded-for": "192.0.2.7" })).toMatchObject({ address: "192.0.2.7" });
  expect(of("127.0.0.1", {})).toMatchObject({ isLocal: true });
  expect(of("127.0.0.1", { "x-forwarded-for": "192.0.2.7" })).toMatchObject({
    isLocal: false,
    address: "127.0.0.1",
  });
});

test("conflicting settings are rejected at start with advice", () => {
  const load = (env: Record<string, string>) => () => loadConfig(env, HOME);
  expect(load({ HOST: "0.0.0.0" })).toThrow("loopback only");
  expect(load({ HOST: "0.0.0.0", ALLOW_REMOTE_WITHOUT_LDAP: "true" })).not.toThrow();
  const ldap = { LDAP_SEARCH_BASE: "dc=x" };
  expect(load({ ...ldap, LDAP_URL: "ldap://ldap.test" })).toThrow("clear text");
  expect(load({ ...ldap, LDAP_URL: "ldap://ldap.test", LDAP_STARTTLS: "true" })).not.toThrow();
  expect(load({ ...ldap, LDAP_URL: "ldaps://a.test ldap://b.test" })).toThrow("clear text");
  expect(load({ ...ldap, LDAP_URL: "http://ldap.test" })).toThrow("ldaps:");
  expect(load({ LDAP_URL: "ldaps://ldap.test" })).toThrow("LDAP_SEARCH_BASE");
  expect(load({ ...ldap, LDAP_URL: "ldaps://ldap.test", HOST: "0.0.0.0" })).not.toThrow();
  expect(load({ ...ldap, LDAP_URL: "ldaps://ldap.test", LDAP_SERVICE_DN: "cn=x" })).toThrow(
    "require each other",
  );
  expect(load({ ...ldap, LDAP_URL: "ldaps://ldap.test", LDAP_ROLES: "king=x" })).toThrow("king=x");
  expect(load({ TRUST_PROXY: "proxy.test" })).toThrow("IP address");
  expect(load({ CORS_ORIGINS: "*" })).toThrow("origin");
});
