import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { isToken, makeToken } from "../../auth/token_format.ts";
import { allRoutes } from "../../app.ts";
import { type TestApp, testApp } from "../helpers/app.ts";

let app: TestApp;
beforeAll(async () => {
  app = await testApp();
});
afterAll(() => app.close());

// deno-lint-ignore no-explicit-any -- responses are untyped
async function make(scopes: string[], more: Record<string, unknown> = {}): Promise<any> {
  const response = await app.ask("POST", "/api/auth/tokens", { body: { name: "ci", scopes, ...more } });
  expect(response.status).toBe(201);
  return await response.json();
}

const as = (token: string, method: string, path: string, body?: unknown) =>
  app.ask(method, path, {
    signedOut: true,
    headers: { authorization: `Bearer ${token}` },
    ...(body === undefined ? {} : { body }),
  });

test("a token has a prefix and a checksum that detects a change of any character", () => {
  for (let n = 0; n < 200; n++) expect(isToken(makeToken())).toBe(true);
  const token = makeToken();
  expect(token).toMatch(/^chub_[0-9A-Za-z]{49}$/);
  for (let at = 5; at < token.length; at++) {
    const other = token[at] === "x" ? "y" : "x";
    expect(isToken(token.slice(0, at) + other + token.slice(at + 1))).toBe(false);
  }
  fc.assert(fc.property(fc.string(), (text) => !isToken(text)));
});

test("a token is returned once, not stored, and listed by its last characters", async () => {
  const made = await make(["read", "submit"]);
  expect(made.token.endsWith(made.hint)).toBe(true);
  const stored = await app.sql`select to_jsonb(tokens)::text as row from tokens`;
  expect(stored[0]!.row).not.toContain(made.token);
  const { items } = await (await app.ask("GET", "/api/auth/tokens")).json();
  expect(items[0]).toMatchObject({ id: made.id, name: "ci", scopes: ["read", "submit"], lastUsedAt: null });
  expect(JSON.stringify(items)).not.toContain(made.token);
  expect(await (await as(made.token, "GET", "/api/auth/me")).json()).toMatchObject({
    name: "admin",
    via: `token ${made.id}`,
    scopes: ["read", "submit"],
  });
  const again = await (await app.ask("GET", "/api/auth/tokens")).json();
  expect(again.items[0].lastUsedAt).toBeTypeOf("string");
});

test("a token may do what both its scopes and its owner's roles allow, and cannot create tokens", async () => {
  const reader = await make(["read"]);
  const ingester = await make(["ingest"]);
  const push = { test: "t", changelist: 1, externalId: "1", results: [] };
  const refused = await as(reader.token, "POST", "/api/results", push);
  expect(refused.status).toBe(403);
  expect((await refused.json()).detail).toContain("a token of scopes read");
  expect((await as(ingester.token, "POST", "/api/results", push)).status).toBe(201);
  expect((await as(ingester.token, "POST", "/api/tests", { name: "x", scraper: "push" })).status).toBe(403);
  await app.ask("POST", "/api/tests", { body: { name: "shown", scraper: "push" } });
  expect((await (await as(reader.token, "GET", "/api/tests/shown")).json()).settings).toEqual({});
  expect((await (await as(ingester.token, "GET", "/api/tests/shown")).json()).settings).toBeNull();
  const admin = await make(["admin"]);
  expect((await as(admin.token, "POST", "/api/tests", { name: "made", scraper: "push" })).status).toBe(201);
  expect((await as(admin.token, "POST", "/api/auth/tokens", { name: "x", scopes: ["read"] })).status).toBe(
    403,
  );
});

test("on every route a token may do exactly what its scope allows", async () => {
  const scopeOf: Record<string, string> = {
    viewer: "read",
    submitter: "submit",
    ingester: "ingest",
    triager: "triage",
    admin: "admin",
  };
  const { routes, extra } = allRoutes();
  for (const scope of ["read", "submit", "ingest", "triage", "admin"]) {
    const { token } = await make([scope]);
    for (const { method, path, role } of [...routes, ...extra]) {
      // These end the session or create a token, which a token cannot do.
      if (path.startsWith("/api/auth/log") || method === "POST" && path === "/api/auth/tokens") continue;
      const response = await as(
        token,
        method,
        path.replace(/\{\w+\}/g, "999"),
        method === "GET" ? undefined : {},
      );
      await response.body?.cancel();
      const isIn = role === "anyone" || scope === "admin" || scopeOf[role] === scope;
      expect([scope, method, path, response.status === 403]).toEqual([scope, method, path, !isIn]);
    }
  }
});

test("revoked, expired and unknown tokens are refused on every route", async () => {
  const revoked = await make(["admin"]);
  expect((await app.ask("DELETE", `/api/auth/tokens/${revoked.id}`)).status).toBe(200);
  expect((await app.ask("DELETE", `/api/auth/tokens/${revoked.id}`)).status).toBe(200);
  expect((await app.ask("DELETE", "/api/auth/tokens/999999")).status).toBe(404);
  const expired = await make(["admin"], { expiresInMs: 60_000 });
  app.clock.offsetMs = 61_000;
  const { routes, extra } = allRoutes();
  for (const token of [revoked.token, expired.token, makeToken(), "chub_x", "x"]) {
    for (const { method, path } of [...routes, ...extra]) {
      const response = await as(
        token,
        method,
        path.replace(/\{\w+\}/g, "1"),
        method === "GET" ? undefined : {},
      );
      await response.body?.cancel();
      expect([method, path, response.status]).toEqual([method, path, 401]);
    }
  }
  app.clock.offsetMs = 0;
});
