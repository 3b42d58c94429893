import { afterAll, beforeAll, expect, test } from "vitest";
import { type TestApp, testApp } from "../helpers/app.ts";

let app: TestApp;
beforeAll(async () => {
  app = await testApp({ TRUST_PROXY: "127.0.0.1", CORS_ORIGINS: "https://ci.test" });
});
afterAll(() => app.close());

test("shared caches may store no response that depends on the caller, by REST or tRPC", async () => {
  await app.ask("POST", "/api/results", {
    body: { test: "vary", changelist: 1, results: [{ case: "a", outcome: "passed" }] },
  });
  const { items: [run] } = await (await app.ask("GET", "/api/runs?test=vary")).json();
  const { headers: first } = await app.ask("GET", "/api/tests");
  const asked: [string, Record<string, string>][] = [
    ["/api/tests", {}],
    ["/api/tests", { "if-none-match": first.get("etag")! }],
    ["/api/tests", { "accept-encoding": "gzip" }],
    ["/api/tests", { origin: "https://ci.test" }],
    ["/api/results?test=vary", {}],
    ["/api/results?test=vary&format=csv", {}],
    [`/api/runs/${run.id}/results?format=ndjson`, {}],
    ["/api/auth/me", {}],
    ["/api/trpc/auth.me?input={}", {}],
    ["/api/trpc/auth.me,tests.list?batch=1&input={}", {}],
    ["/api/site-map", {}],
    ["/api/openapi.json", { "accept-encoding": "gzip", "if-none-match": "*" }],
    ["/api/docs", {}],
    ["/", {}],
    ["/api/nope", {}],
  ];
  for (const [path, headers] of asked) {
    const answer = await app.ask("GET", path, { headers: { "x-forwarded-for": "192.0.2.50", ...headers } });
    await answer.body?.cancel();
    const vary = answer.headers.get("vary")!.toLowerCase().split(/, */);
    expect([path, vary]).toEqual([
      path,
      expect.arrayContaining(["authorization", "cookie", "accept-encoding"]),
    ]);
    expect([path, vary.includes("origin")]).toEqual([path, true]);
    expect([path, answer.headers.get("cache-control")]).toEqual([
      path,
      expect.stringMatching(/private|no-store/),
    ]);
  }
});

test("a 401 and a 403 begin with the required role and state how to get it", async () => {
  for (
    const [method, path] of [["POST", "/api/tests"], ["GET", "/api/audit"], [
      "POST",
      "/api/results?test=a&changelist=1",
    ]]
  ) {
    const { status, detail } = await (await app.ask(method!, path!, { signedOut: true })).json();
    expect([status, detail]).toEqual([
      401,
      expect.stringMatching(/^This route requires the role \w+, and the request has no session or token\. /),
    ]);
    for (const way of ["POST /api/auth/login", "Authorization: Bearer <token>"]) {
      expect(detail).toContain(way);
    }
  }
  const made = await app.ask("POST", "/api/auth/tokens", { body: { name: "reader", scopes: ["read"] } });
  const { token } = await made.json();
  const refused = await app.ask("GET", "/api/audit", {
    signedOut: true,
    headers: { authorization: `Bearer ${token}` },
  });
  const { status, detail } = await refused.json();
  expect([status, detail]).toEqual([
    403,
    expect.stringMatching(/^This route requires the role admin; admin has /),
  ]);
  expect(detail).toContain("a token of scopes read");
});
