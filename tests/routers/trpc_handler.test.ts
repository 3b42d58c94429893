import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createApp } from "../../app.ts";
import type { Auth } from "../../auth/auth.ts";
import { createThrottle } from "../../auth/throttle.ts";
import { loadConfig } from "../../config/config.ts";
import type { Queue } from "../../cron/queue.ts";
import { openDatabase } from "../../db/core/client.ts";
import { HOME, type TestApp, testApp } from "../helpers/app.ts";

let app: TestApp;
beforeAll(async () => {
  app = await testApp({ JSON_LIMIT: "4096", UPLOAD_LIMIT: "100000" });
});
afterAll(() => app.close());

/** A body of unstated length. */
function chunked(size: number, begin = ""): ReadableStream<Uint8Array> {
  let left = size;
  return new ReadableStream({
    start(controller) {
      controller.enqueue(new TextEncoder().encode(begin));
    },
    pull(controller) {
      if (left <= 0) return controller.close();
      controller.enqueue(new TextEncoder().encode(" ".repeat(Math.min(1000, left))));
      left -= 1000;
    },
  });
}

async function post(path: string, type: string, body: BodyInit): Promise<Response> {
  const request = new Request(`http://localhost${path}`, {
    method: "POST",
    headers: { "content-type": type, authorization: `Bearer ${app.token}`, "x-file-name": "r.xml" },
    body,
  });
  return await app.fetch(request);
}

describe("paths", () => {
  test("an invalid percent-encoding is a 400 that shows the path", async () => {
    const response = await app.ask("GET", "/api/tests/%zz");
    expect(response.status).toBe(400);
    expect((await response.json()).detail).toContain("%zz");
  });

  test.each([
    ["%2e%2e%2f%2e%2e%2fetc%2fpasswd", "../../etc/passwd"],
    ["a%2fb", "a/b"],
    ["a%252fb", "a%2fb"],
    ["a%0ab", "a\\nb"],
    ["%F0%9F%8E%89", "🎉"],
  ])("a name %s is decoded once, and looked for as it is", async (encoded, name) => {
    const response = await app.ask("GET", `/api/dvs/packages/${encoded}`);
    expect(response.status).toBe(404);
    expect((await response.json()).detail).toContain(name);
  });

  test("HEAD answers like GET without a body, also on a route with two handlers", async () => {
    await app.ask("POST", "/api/tests", { body: { name: "head", scraper: "push" } });
    for (const path of ["/api/tests", "/api/results?test=head", "/api/results?test=head&format=csv"]) {
      const response = await app.ask("HEAD", path);
      expect([path, response.status, await response.text()]).toEqual([path, 200, ""]);
    }
  });
});

describe("limits", () => {
  test("a body without a length is counted as it arrives", async () => {
    expect((await post("/api/tests", "application/json", chunked(5000))).status).toBe(413);
    expect(
      (await post("/api/results?test=a&changelist=1", "application/xml", chunked(101_000, "<testsuite>")))
        .status,
    )
      .toBe(413);
    const form = await post(
      "/api/results?test=a&changelist=1",
      "multipart/form-data; boundary=x",
      chunked(101_000),
    );
    expect(form.status).toBe(413);
  });

  test("tRPC has limits of size and depth like REST, and a limit of batches", async () => {
    const ask = (path: string, body: string) => post(`/api/trpc/${path}`, "application/json", body);
    expect((await ask("tests.create", " ".repeat(5000))).status).toBe(413);
    expect((await post("/api/trpc/tests.create", "application/json", chunked(5000))).status).toBe(413);
    expect((await ask("results.push", " ".repeat(5000))).status).not.toBe(413);
    expect((await ask("tests.create", `{"a":${"[".repeat(1000)}${"]".repeat(1000)}}`)).status).toBe(400);
    const many = Array.from({ length: 21 }, () => "health.live").join(",");
    expect((await app.ask("GET", `/api/trpc/${many}?batch=1&input={}`)).status).toBe(400);
  });
});

describe("a database that accepts connections and never answers", () => {
  test("is reported by `ready` within its time limit, and probes do not pile up", async () => {
    const givenUp = Promise.withResolvers<void>();
    let connections = 0;
    const silent = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const open: Deno.Conn[] = [];
    const accepting = (async () => {
      for await (const connection of silent) {
        connections++;
        open.push(connection);
        // Waits until the driver gives up, after five seconds.
        new Response(connection.readable).arrayBuffer().then(() => givenUp.resolve(), givenUp.reject);
      }
    })();
    const { port } = silent.addr as Deno.NetAddr;
    const url = `postgres://127.0.0.1:${port}/none`;
    const sql = openDatabase(url);
    const queue = { isRunning: () => true } as Queue;
    const config = loadConfig({ DATABASE_URL: url }, HOME);
    const hung = createApp(
      {
        sql,
        queue,
        config,
        auth: { identify: () => Promise.resolve(null) } as unknown as Auth,
        throttle: createThrottle({ sql, ...config.auth }),
        now: () => new Date(),
        checkSubmitter: () => Promise.resolve(),
      },
      { log: () => {} },
    );
    try {
      const answers = await Promise.all([1, 2, 3].map(() => hung.request("/api/health/ready")));
      const answered = performance.now();
      expect(answers.map((answer) => answer.status)).toEqual([503, 503, 503]);
      expect((await answers[0]!.json()).checks[0]).toMatchObject({ name: "database", state: "bad" });
      expect((await hung.request("/api/health/live")).status).toBe(200);
      expect(connections).toBe(1);
      await givenUp.promise;
      expect(performance.now() - answered).toBeGreaterThan(500);
    } finally {
      silent.close();
      await accepting;
      await sql.end({ timeout: 0 });
    }
  });
});
