import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { allRoutes } from "../app.ts";
import { type TestApp, testApp } from "./helpers/app.ts";

let app: TestApp;
beforeAll(async () => {
  app = await testApp({ JSON_LIMIT: "4096", UPLOAD_LIMIT: "100000" });
});
afterAll(() => app.close());

// deno-lint-ignore no-explicit-any -- as a script reads it
async function json(response: Response | Promise<Response>): Promise<any> {
  return await (await response).json();
}

function fill(path: string): string {
  return path.replace("{id}", "1").replace("{changelist}", "1").replace("{name}", "x");
}

describe("errors", () => {
  test("an unknown route's error names the site map; an unsupported method's error lists the supported ones", async () => {
    const unknown = await app.ask("GET", "/api/nope");
    expect(unknown.status).toBe(404);
    expect(unknown.headers.get("content-type")).toBe("application/problem+json");
    expect((await json(unknown)).detail).toContain("/api/site-map");
    const wrong = await app.ask("PUT", "/api/tests");
    expect(wrong.status).toBe(405);
    expect(wrong.headers.get("allow")).toBe("GET, POST, HEAD");
  });

  test("a request id is returned, and an invalid one is replaced", async () => {
    expect(
      (await app.ask("GET", "/api/health/live", { headers: { "x-request-id": "trace-12345" } })).headers.get(
        "x-request-id",
      ),
    ).toBe("trace-12345");
    const made = (await app.ask("GET", "/api/health/live", { headers: { "x-request-id": "a b" } })).headers
      .get("x-request-id");
    expect(made).toMatch(/^[0-9a-f-]{36}$/);
  });

  test("a wrong token is a 401 even where reads are open", async () => {
    const response = await app.ask("GET", "/api/tests", {
      signedOut: true,
      headers: { authorization: "Bearer wrong" },
    });
    expect(response.status).toBe(401);
    expect(response.headers.get("www-authenticate")).toContain("Bearer");
  });

  test.each([
    ["not JSON", "{", "application/json", 400],
    ["an array", "[]", "application/json", 400],
    ["not UTF-8", new Uint8Array([0xff, 0xfe, 0x7b]), "application/json", 400],
    ["too large", JSON.stringify({ name: "x".repeat(5000) }), "application/json", 413],
    ["of another type", "name=x", "application/x-www-form-urlencoded", 415],
    ["deeply nested", `{"a":${"[".repeat(1000)}${"]".repeat(1000)}}`, "application/json", 400],
  ])("a body that is %s is refused", async (_what, raw, type, status) => {
    const response = await app.ask("POST", "/api/tests", {
      raw: raw as BodyInit,
      headers: { "content-type": type },
    });
    expect(response.status).toBe(status);
    expect((await json(response)).code).toBeTypeOf("string");
  });

  test("every write rejects anonymous users", async () => {
    const { routes, extra } = allRoutes();
    for (const { method, path, role } of [...routes, ...extra]) {
      if (role === "anyone") continue;
      const body = method === "GET" ? {} : { body: {} };
      const response = await app.ask(method, fill(path), { ...body, signedOut: true });
      expect(response.status, `${method} ${path}`).toBe(401);
    }
  });

  test("invalid parameters never cause a 5xx", async () => {
    const bad = [
      "",
      "-1",
      "0",
      "1e99",
      "99999999999999999999",
      "NaN",
      "null",
      "\u0000",
      "😀",
      "%",
      "'; drop table runs; --",
      "a".repeat(3000),
      "{",
      "[]",
      "../..",
      "\ud800",
    ];
    const { routes, extra } = allRoutes();
    for (const { method, path, input } of [...routes, ...extra]) {
      if (method !== "GET" || path === "/") continue;
      for (const value of bad) {
        const text = encodeURIComponent(value.toWellFormed());
        const paths = path.includes("{")
          ? [path.replace(/\{\w+\}/g, text || "%20")]
          : Object.keys(input?.shape ?? {}).map((name) => `${path}?${name}=${text}`);
        for (const one of paths) {
          const response = await app.ask("GET", one);
          await response.body?.cancel();
          expect(response.status, one).toBeLessThan(500);
        }
      }
    }
  });
});

describe("reads", () => {
  test("a list has an ETag, and a request that sends it gets a 304", async () => {
    const first = await app.ask("GET", "/api/tests");
    const tag = first.headers.get("etag")!;
    expect(tag).toMatch(/^".+"$/);
    const second = await app.ask("GET", "/api/tests", { headers: { "if-none-match": tag } });
    expect(second.status).toBe(304);
    expect(await second.text()).toBe("");
  });

  test("documents are served; pages load nothing from other origins", async () => {
    for (const path of ["/", "/api/docs", "/api/site-map"]) {
      const response = await app.ask("GET", path, { headers: { accept: "text/html" } });
      const html = await response.text();
      expect(response.headers.get("content-security-policy")).toContain("default-src 'none'");
      expect(html).not.toMatch(/<script|src="http|href="http/);
    }
    expect(await (await app.ask("GET", "/llms.txt")).text()).toContain("/api/results/culprit");
    expect((await json(app.ask("GET", "/api/site-map"))).items.length).toBeGreaterThan(30);
  });

  test("ready reports the state of each part", async () => {
    const answer = await json(app.ask("GET", "/api/health/ready"));
    expect(answer.checks.map((check: { name: string; state: string }) => [check.name, check.state])).toEqual([
      ["database", "ok"],
      ["migrations", "ok"],
      ["queue", "ok"],
      ["spool", "ok"],
    ]);
  });
});

describe("anonymous users", () => {
  test("do not see settings, job output, errors or payloads", async () => {
    await app.ask("POST", "/api/tests", { body: { name: "secret", scraper: "push", settings: {} } });
    await app.queue.send("scrape", { testId: 1, cause: "request" }, { singletonKey: "x" });
    expect((await json(app.ask("GET", "/api/tests/secret", { signedOut: true }))).settings).toBeNull();
    expect((await json(app.ask("GET", "/api/tests/secret"))).settings).toEqual({});
    const tasks = await json(app.ask("GET", "/api/tasks", { signedOut: true }));
    expect(tasks.items.length).toBeGreaterThan(0);
    expect(tasks.items.every((item: { data: unknown }) => item.data === null)).toBe(true);
  });
});

describe("tests", () => {
  test("are created, changed, rejected with a reason, and deleted with or without results", async () => {
    const bad = await app.ask("POST", "/api/tests", { body: { name: "t", scraper: "nope" } });
    expect((await json(bad)).detail).toContain("use one of vrl, files, ");
    const outside = await app.ask("POST", "/api/tests", {
      body: { name: "t", scraper: "files", settings: { url: "file:///etc", pattern: "(?<changelist>\\d+)" } },
    });
    expect(outside.status).toBe(400);
    expect((await json(outside)).detail).toContain("SCRAPE_ROOTS");
    expect((await app.ask("POST", "/api/tests", { body: { name: "t", scraper: "push" } })).status).toBe(201);
    expect((await app.ask("POST", "/api/tests", { body: { name: "t", scraper: "push" } })).status).toBe(409);
    expect(await json(app.ask("PATCH", "/api/tests/t", { body: { owner: "ci", intervalMs: 120000 } })))
      .toMatchObject({ owner: "ci", intervalMs: 120000 });
    await app.ask("POST", "/api/results", {
      body: { test: "t", changelist: 1, externalId: "1", results: [{ case: "a", outcome: "passed" }] },
    });
    expect(await json(app.ask("DELETE", "/api/tests/t?results=true"))).toEqual({ runsDeleted: 1 });
    const gone = await app.ask("GET", "/api/tests/t");
    expect(gone.status).toBe(404);
  });
});
