import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { allRoutes } from "../../../app.ts";
import { OPEN_LIMIT } from "../../../routers/rest/body.ts";
import { BodyRoom } from "../../../routers/rest/body_room.ts";
import { type TestApp, testApp } from "../../helpers/app.ts";
import { until } from "../../helpers/lab.ts";
import { parseAnswer, readAll, serveOnWire, type WireAnswer, type WireHub } from "../../helpers/wire.ts";

const PUSH_LIMIT = 100_000;
let app: TestApp;
let hub: WireHub;
beforeAll(async () => {
  app = await testApp({
    JSON_LIMIT: "50000",
    UPLOAD_LIMIT: String(PUSH_LIMIT),
    BODY_MEMORY: String(PUSH_LIMIT),
    BODY_TIMEOUT: "2",
    RATE_READS: "1000000",
    RATE_WRITES: "1000000",
  });
  hub = serveOnWire(app);
});
afterAll(async () => {
  await hub[Symbol.asyncDispose]();
  await app.close();
});

const { routes, extra } = allRoutes();
const filled = (path: string) => path.replace(/\{\w+\}/g, "1");
const writes = [
  ...[...routes, ...extra].filter(({ method }) => method === "POST" || method === "PATCH")
    .map(({ method, path, role }) => ({ method, path: filled(path), role })),
  ...routes.filter(({ method }) => method !== "GET")
    .map(({ procedure, role }) => ({ method: "POST", path: `/api/trpc/${procedure}`, role })),
];

/** Opens a connection and sends the head of a request, whose body is sent by the caller. */
async function begin(method: string, path: string, headers: Record<string, string>): Promise<Deno.TcpConn> {
  const connection = await Deno.connect({ hostname: "127.0.0.1", port: hub.port });
  const all = { host: "127.0.0.1", connection: "close", "content-type": "application/json", ...headers };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`).join("");
  await write(connection, `${method} ${path} HTTP/1.1\r\n${lines}\r\n`);
  return connection;
}

async function write(connection: Deno.TcpConn, text: string): Promise<void> {
  const bytes = new TextEncoder().encode(text);
  for (let at = 0; at < bytes.length;) at += await connection.write(bytes.subarray(at));
}

async function answerOf(connection: Deno.TcpConn): Promise<WireAnswer> {
  using open = connection;
  return parseAnswer(await readAll(open));
}

/** A JSON push that takes all memory and does not end by itself. */
function push(): { isRead: Promise<void>; answer: Promise<Response>; end(): void } {
  const read = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<void>();
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      read.resolve();
      await ended.promise;
      controller.enqueue(new TextEncoder().encode("{"));
      controller.close();
    },
  }, { highWaterMark: 0 });
  const headers = { ...token(), "content-type": "application/json", "content-length": String(PUSH_LIMIT) };
  const request = new Request("http://localhost/api/results", { method: "POST", headers, body });
  return { isRead: read.promise, answer: Promise.resolve(app.fetch(request)), end: ended.resolve };
}

const token = () => ({ authorization: `Bearer ${app.token}` });
describe("before a body is read", () => {
  test.each([
    ["JSON", { "content-type": "application/json", "content-length": "40000" }],
    ["a file", { "content-type": "application/xml", "x-file-name": "r.xml", "content-length": "40000" }],
    ["a form", { "content-type": "multipart/form-data; boundary=x", "content-length": "40000" }],
    ["a text", { "content-type": "text/plain", "content-length": "40000" }],
    ["chunks", { "content-type": "application/json", "transfer-encoding": "chunked" }],
  ])("the guard answers for %s, on every route, while nothing has been sent", async (_what, headers) => {
    for (const { method, path, role } of writes) {
      if (role === "anyone") continue;
      const { status } = await answerOf(await begin(method, path, headers));
      // tRPC accepts JSON only, which it checks from the headers.
      const expected = path.startsWith("/api/trpc/") ? [401, 415] : [401];
      expect([method, path, expected.includes(status)]).toEqual([method, path, true]);
    }
  });

  test("a batch's body is not read if none of its calls may have one", async () => {
    for (const calls of ["results.push,results.push", "auth.me,results.push", "no.such,results.push"]) {
      const connection = await begin("POST", `/api/trpc/${calls}?batch=1`, { "content-length": "99999" });
      const { status, body } = await answerOf(connection);
      expect([calls, [207, 400, 401].includes(status)]).toEqual([calls, true]);
      expect(body).not.toContain("accepted");
    }
  });

  test("a declared length over the route's limit is a 413, for every caller", async () => {
    for (
      const [path, length, headers] of [
        ["/api/tests", 50_001, token()],
        ["/api/results", PUSH_LIMIT + 1, token()],
        ["/api/results?test=a&changelist=1", PUSH_LIMIT + 1, { ...token(), "x-file-name": "r.xml" }],
        ["/api/trpc/tests.create", 50_001, token()],
        ["/api/trpc/results.push", PUSH_LIMIT + 1, token()],
        ["/api/auth/login", OPEN_LIMIT + 1, {}],
        ["/api/trpc/auth.login", OPEN_LIMIT + 1, {}],
        ["/api/trpc/auth.login,results.push?batch=1", OPEN_LIMIT + 1, {}],
      ] as const
    ) {
      const connection = await begin("POST", path, { ...headers, "content-length": String(length) });
      expect([path, (await answerOf(connection)).status]).toEqual([path, 413]);
    }
  });
});

describe("the memory that bodies share", () => {
  test("a body waits for one that takes all memory, and is read when that has ended", async () => {
    const first = push();
    await first.isRead;
    const second = push();
    // The first is answered only once its body ends; the second waits for that, and others are answered meanwhile.
    const order: string[] = [];
    const answers = [first, second].map((one, at) =>
      one.answer.then((answer) => {
        order.push(["first", "second"][at]!);
        return answer.status;
      })
    );
    second.end();
    expect((await app.ask("GET", "/api/tests")).status).toBe(200);
    expect(order).toEqual([]);
    first.end();
    expect(await Promise.all(answers)).toEqual([400, 400]);
    expect(order).toEqual(["first", "second"]);
  });

  describe("is assigned in order of arrival", () => {
    afterEach(() => {
      vi.useRealTimers();
    });

    test("small bodies do not overtake a large one, and a body without memory for 5 s gets a 503 with Retry-After", async () => {
      vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "performance"] });
      const room = new BodyRoom(100);
      const entered: string[] = [];
      const take = (name: string, bytes: number) => room.take(bytes).then(() => entered.push(name));
      await take("first", 60);
      const large = take("large", 80);
      const small = take("small", 10);
      await Promise.resolve();
      expect([entered, room.free]).toEqual([["first"], 40]);
      room.give(60);
      await Promise.all([large, small]);
      expect([entered, room.free]).toEqual([["first", "large", "small"], 10]);

      const late = room.take(50).catch((error) => error);
      vi.advanceTimersByTime(3000);
      const next = take("next", 10);
      vi.advanceTimersByTime(2600);
      expect(await late).toMatchObject({
        code: "SERVICE_UNAVAILABLE",
        retryAfter: 5,
        message: expect.stringContaining("BODY_MEMORY"),
      });
      // It came later, had less to wait, and now fits.
      await next;
      expect(room.free).toBe(0);
      for (const bytes of [80, 10, 10]) room.give(bytes);
      expect(room.free).toBe(100);

      const [one, other] = [room.take(200), room.take(50)].map((taking) =>
        taking.catch((error) => error.code)
      );
      vi.advanceTimersByTime(5600);
      expect([await one, await other, room.free]).toEqual([
        "SERVICE_UNAVAILABLE",
        "SERVICE_UNAVAILABLE",
        100,
      ]);
    });
  });
});

describe("incomplete bodies", () => {
  test("a body that stops or drips in is a 408", async () => {
    const stopped = await begin("POST", "/api/tests", { ...token(), "content-length": "1000" });
    await write(stopped, "{");
    const dripping = await begin("POST", "/api/tests", { ...token(), "content-length": "1000" });
    let isOver = false;
    const drip = (async () => {
      while (!isOver) {
        await write(dripping, " ").catch(() => isOver = true);
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    })();
    const answers = await Promise.all([stopped, dripping].map(answerOf));
    isOver = true;
    await drip;
    expect(answers.map(({ status }) => status)).toEqual([408, 408]);
    expect(JSON.parse(answers[0]!.body).detail).toContain("1 of 1000 bytes");
  });

  test("an 8,000-byte chunk extension and a malformed chunk are client errors", async () => {
    const head = { ...token(), "transfer-encoding": "chunked" };
    for (const chunk of [`5;${"x".repeat(8000)}\r\n{"a":`, "zz\r\nhello", "5\r\nhelloXX", "-1\r\n"]) {
      for (const path of ["/api/tests", "/api/trpc/tests.create", "/api/results?test=a&changelist=1"]) {
        const type = path.startsWith("/api/results") ? "application/xml" : "application/json";
        const connection = await begin("POST", path, { ...head, "content-type": type });
        await write(connection, `${chunk}\r\n0\r\n\r\n`);
        const { status } = await answerOf(connection);
        // 0: the server closes the connection if it cannot tell where a chunk ends.
        const isFine = status === 400 || status === 0 && !chunk.startsWith("5;");
        expect([chunk.slice(0, 10), path, status, isFine]).toEqual([chunk.slice(0, 10), path, status, true]);
      }
    }
    expect(app.logged).toEqual([]);
  });

  test("a client that hangs up is not logged, and its memory is released", async () => {
    for (const length of ["content-length: 90000", "transfer-encoding: chunked"]) {
      for (
        const path of [
          "/api/results",
          "/api/trpc/results.push",
          "/api/results?test=a&changelist=1&externalId=x",
        ]
      ) {
        const [name, value] = length.split(": ") as [string, string];
        const connection = await begin("POST", path, {
          ...token(),
          [name]: value,
          "content-type": path.includes("?") ? "application/xml" : "application/json",
          expect: "100-continue",
        });
        // The hub sends 100 Continue when it begins to read.
        const bytes = new Uint8Array(100);
        const count = await connection.read(bytes);
        expect(new TextDecoder().decode(bytes.subarray(0, count!))).toContain("100 Continue");
        await write(connection, name === "content-length" ? "{" : "1\r\n{\r\n");
        connection.close();
      }
    }
    await until(async () => {
      const whole = await begin("POST", "/api/results", { ...token(), "content-length": String(PUSH_LIMIT) });
      await write(whole, "{".padEnd(PUSH_LIMIT));
      return (await answerOf(whole)).status;
    }, (status) => status === 400);
    expect(app.logged).toEqual([]);
  });
});
