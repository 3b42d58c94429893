import { afterAll, beforeAll, expect, test } from "vitest";
import { type TestApp, testApp } from "../helpers/app.ts";

let app: TestApp;
beforeAll(async () => {
  app = await testApp();
});
afterAll(() => app.close());

// deno-lint-ignore no-explicit-any -- responses are untyped
async function ask(method: string, path: string, body?: unknown): Promise<any> {
  const response = await app.ask(method, path, {
    ...(body === undefined ? {} : { body }),
    headers: { "x-request-id": "request-0001" },
  });
  return await response.json();
}

test("every write is recorded with its author, credential, address, object and previous value", async () => {
  await ask("POST", "/api/tests", { name: "t", scraper: "push" });
  await ask("PATCH", "/api/tests/t", { owner: "ci", settings: {} });
  await ask("POST", "/api/tests/t/scrape");
  await ask("POST", "/api/dvs/scans", {});
  await ask("POST", "/api/results", { test: "t", changelist: 1, externalId: "1", results: [] });
  const made = await ask("POST", "/api/auth/tokens", { name: "ci", scopes: ["read"] });
  await ask("DELETE", `/api/auth/tokens/${made.id}`);
  await ask("DELETE", "/api/tests/t");
  const { items } = await ask("GET", "/api/audit");
  expect(items.map((item: { action: string }) => item.action)).toEqual([
    "test.delete",
    "token.revoke",
    "token.create",
    "results.push",
    "scan.request",
    "test.scrape",
    "test.update",
    "test.create",
  ]);
  for (const item of items) {
    expect(item).toMatchObject({
      who: "admin",
      via: "admin token",
      address: "127.0.0.1",
      requestId: "request-0001",
    });
  }
  expect(items[6]).toMatchObject({
    object: "test t",
    before: { owner: null, settings: "(not shown)" },
    after: { owner: "ci", settings: "(not shown)" },
  });
});

test("the audit log is paged, filtered, and for admins only", async () => {
  const first = await ask("GET", "/api/audit?limit=3");
  const second = await ask("GET", `/api/audit?limit=3&cursor=${first.nextCursor}`);
  expect(second.items[0].id).toBeLessThan(first.items[2].id);
  expect((await ask("GET", "/api/audit?action=test.update")).items).toHaveLength(1);
  expect((await ask("GET", "/api/audit?object=test%20t&who=admin")).items).toHaveLength(5);
  expect((await ask("GET", "/api/audit?to=2000-01-01T00:00:00Z")).items).toEqual([]);
  expect((await app.ask("GET", "/api/audit", { signedOut: true })).status).toBe(401);
});

test("audit entries can be neither changed nor deleted", async () => {
  await expect(app.sql`update audit set who = 'x'`).rejects.toThrow("append-only");
  await expect(app.sql`delete from audit`).rejects.toThrow("append-only");
  await expect(app.sql`truncate audit`).rejects.toThrow("append-only");
});

test("a failed write and a write without effect are not recorded", async () => {
  const count = async () => (await app.sql`select count(*)::int as n from audit`)[0]!.n;
  const before = await count();
  await ask("POST", "/api/tests", { name: "x", scraper: "nope" });
  await ask("PATCH", "/api/tests/nobody", { owner: "x" });
  await ask("POST", "/api/vrl/jobs", { test: "nobody", changelist: 1 });
  await ask("POST", "/api/dvs/scans", {});
  expect(await count()).toBe(before);
});
