import { afterAll, beforeAll, expect, test } from "vitest";
import { loadConfig } from "../../../config/config.ts";
import { HOME, type TestApp, testApp } from "../../helpers/app.ts";
import { serveOnWire, type WireHub } from "../../helpers/wire.ts";

let app: TestApp;
let hub: WireHub;
beforeAll(async () => {
  app = await testApp({ TRUST_PROXY: "127.0.0.2", ALLOWED_HOSTS: "hub.example.org Chub" });
  hub = serveOnWire(app);
});
afterAll(async () => {
  await hub[Symbol.asyncDispose]();
  await app.close();
});

const statusOf = async (host: string, path = "/api/tests") => {
  const { status } = await hub.ask("GET", path, { headers: { host } });
  return status;
};

test.each([
  "127.0.0.1",
  "127.0.0.1:8000",
  "192.0.2.7:80",
  "[::1]",
  "[2001:db8::1]:8000",
  "localhost",
  "LocalHost:8000",
  "hub.example.org",
  "HUB.example.org:443",
  "chub:8000",
])("the host %s is the hub's", async (host) => {
  expect(await statusOf(host)).toBe(200);
});

test.each([
  "evil.test",
  "evil.test:8000",
  "hub.example.org.evil.test",
  "xhub.example.org",
  "localhost.evil.test",
  "localhost.",
  "127.0.0.1.evil.test",
  "127.1",
  "0x7f.0.0.1",
  "127.0.0.256.nip.test",
  "1.2.3",
])("the host %s is another's: 421 on every door, sign-in and health included", async (host) => {
  for (const path of ["/api/tests", "/api/health/ready", "/api/trpc/tests.list?input={}", "/", "/none"]) {
    const { status, body } = await hub.ask("GET", path, { headers: { host } });
    expect([path, status]).toEqual([path, 421]);
    expect(JSON.parse(body)).toMatchObject({
      code: "MISDIRECTED_REQUEST",
      detail: expect.stringContaining("ALLOWED_HOSTS"),
    });
  }
  const signIn = await hub.ask("POST", "/api/auth/login", {
    headers: { host, "content-type": "application/json" },
    body: JSON.stringify({ name: "admin", password: app.token }),
  });
  expect([signIn.status, signIn.headers.getSetCookie()]).toEqual([421, []]);
});

test.each([
  "a b",
  "a/b",
  "localhost/api/health/live?",
  "localhost#",
  "localhost?x",
  "user:secret@localhost",
  "localhost:99999",
  "localhost:8000:1",
  "localhost:x",
  "[::1",
  "[zz]",
  "a,localhost",
  "a\\b",
  "xn--a",
  "%6cocalhost",
  "ｌocalhost",
  "\u00ff",
])("the malformed host %s is a 400, and nothing is logged", async (host) => {
  for (const path of ["/api/tests", "/api/health/live", "/api/trpc/auth.me?input={}"]) {
    expect([path, await statusOf(host, path)]).toEqual([path, 400]);
  }
  expect(app.logged).toEqual([]);
});

test("the host of the request line is checked too, and a request without a host is accepted", async () => {
  const lines = (first: string, headers = "host: localhost\r\n") =>
    hub.send(`${first}\r\n${headers}connection: close\r\n\r\n`);
  expect((await lines("GET http://evil.test/api/tests HTTP/1.1")).status).toBe(421);
  expect((await lines("GET http://evil.test:99999/api/tests HTTP/1.1")).status).toBe(400);
  expect((await lines("GET http://127.0.0.1/api/tests HTTP/1.1")).status).toBe(200);
  expect((await lines("GET /api/tests HTTP/1.1", "host: localhost\r\nhost: evil.test\r\n")).status).toBe(400);
  expect((await lines("GET /api/health/live HTTP/1.0", "")).status).toBe(200);
});

test("X-Forwarded-Host is checked only from a trusted proxy", async () => {
  const ask = (remote: string, host: string) =>
    app.ask("GET", "/api/tests", { remote, headers: { "x-forwarded-host": host } });
  expect((await ask("127.0.0.2", "hub.example.org")).status).toBe(200);
  expect((await ask("127.0.0.2", "evil.test")).status).toBe(421);
  expect((await ask("127.0.0.2", "a b")).status).toBe(400);
  expect((await ask("127.0.0.1", "evil.test")).status).toBe(200);
});

test("the name in HOST is accepted too, and an invalid name is rejected at start", () => {
  const { auth } = loadConfig({
    HOST: "Build.Example",
    ALLOW_REMOTE_WITHOUT_LDAP: "true",
    ALLOWED_HOSTS: "a B.c",
  }, HOME);
  expect([...auth.allowedHosts]).toEqual(["a", "b.c", "build.example"]);
  for (const bad of ["hub:8000", "https://hub", "*.example.org", "a/b"]) {
    expect(() => loadConfig({ ALLOWED_HOSTS: bad }, HOME)).toThrow("each must be a host name");
  }
});
