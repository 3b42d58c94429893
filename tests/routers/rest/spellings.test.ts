import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { allRoutes } from "../../../app.ts";
import { isSecretName } from "../../../routers/rest/path.ts";
import { type TestApp, testApp } from "../../helpers/app.ts";
import { stopClock } from "../../helpers/clock.ts";
import { serveOnWire, type WireHub, type WireOptions } from "../../helpers/wire.ts";

let app: TestApp;
let hub: WireHub;
beforeAll(async () => {
  app = await testApp({ RATE_READS: "100000000", RATE_WRITES: "10000000" });
  hub = serveOnWire(app);
});
beforeEach(async () => {
  await app.sql`delete from throttles`;
});
afterAll(async () => {
  await hub[Symbol.asyncDispose]();
  await app.close();
});

/** Headers that a browser sends for a page of another site. */
const CROSS_SITE = { origin: "https://evil.test", "sec-fetch-site": "cross-site" };

function hex(char: string): string {
  return `%${char.charCodeAt(0).toString(16)}`;
}

/** Spellings that mean the path itself. */
function equals(path: string): string[] {
  const last = path.lastIndexOf("/") + 1;
  const encode = (text: string) => text.replace(/[a-zA-Z.,_-]/g, hex);
  return [
    path.slice(0, last) + hex(path[last]!) + path.slice(last + 1),
    path.slice(0, last) + encode(path.slice(last)),
    path.slice(0, last) + encode(path.slice(last)).toUpperCase().replaceAll("%2C", ","),
    path.replace(/^\/api/, "/%61%70%69"),
  ];
}

/** Spellings that some servers map to the path, and that match no route here. */
function others(path: string): string[] {
  const last = path.lastIndexOf("/") + 1;
  return [
    `/${path}`,
    path.replaceAll("/", "//"),
    `${path}/`,
    path.slice(0, last - 1) + "%2f" + path.slice(last),
    path.slice(0, last - 1) + "\\" + path.slice(last),
    `${path.slice(0, last)}x/../${path.slice(last)}`,
    `${path.slice(0, last)}./${path.slice(last)}`,
    `${path.slice(0, last)}%2e/${path.slice(last)}`,
    path.slice(0, last) + `%25${hex(path[last]!).slice(1)}` + path.slice(last + 1),
    path.slice(0, last) + path.slice(last).toUpperCase(),
    path.toUpperCase(),
    `${path}%00`,
    `${path}%20`,
    `${path};x=1`,
    `${path}#x`,
  ];
}

/** The remaining allowance and the response of a request. */
async function decisionOf(method: string, path: string, options: WireOptions) {
  const { status, headers, body } = await hub.ask(method, path, options);
  const left = /r=(\d+)/.exec(headers.get("ratelimit") ?? "");
  return { status, body, left: left === null ? undefined : Number(left[1]), cookies: headers.getSetCookie() };
}

const { routes, extra } = allRoutes();
const filled = (path: string) => path.replace(/\{(?:id|changelist)\}/, "1").replace(/\{\w+\}/g, "x");
const rest = [...routes, ...extra].filter(({ path }) => path.startsWith("/api/")).map(({ method, path }) => ({
  method,
  path: filled(path),
}));
const trpc = routes.map(({ method, procedure }) => ({
  method: method === "GET" ? "GET" : "POST",
  path: `/api/trpc/${procedure}`,
}));

test("every route is guarded, counted and answered the same for every spelling of its path", async () => {
  stopClock();
  const options = (method: string): WireOptions => ({
    headers: { ...CROSS_SITE, "content-type": "application/json" },
    ...(method === "GET" ? {} : { body: "{}" }),
  });
  const different: string[] = [];
  for (const { method, path } of [...rest, ...trpc]) {
    const plain = await decisionOf(method, path, options(method));
    const again = await decisionOf(method, path, options(method));
    const cost = plain.left === undefined ? undefined : plain.left - again.left!;
    let { left } = again;
    for (const spelled of equals(path)) {
      const one = await decisionOf(method, spelled, options(method));
      const same = one.status === plain.status && one.body.length === plain.body.length &&
        (cost === undefined ? one.left === undefined : left! - one.left! === cost);
      if (!same) {
        different.push(
          `${method} ${spelled}: ${plain.status}, cost ${cost} -> ${one.status}, left ${left} -> ${one.left}`,
        );
      }
      left = one.left;
    }
    for (const spelled of others(path)) {
      const one = await decisionOf(method, spelled, options(method));
      // Some spellings are another value of a parameter, and get a 401 or 405.
      if (![400, 401, 404, 405].includes(one.status)) different.push(`${method} ${spelled} -> ${one.status}`);
    }
  }
  expect(different).toEqual([]);
  expect(rest.length + trpc.length).toBeGreaterThan(90);
}, 600_000);

test("no spelling lets another site sign a browser in", async () => {
  const input = { name: "admin", password: app.token };
  const single = JSON.stringify(input);
  const batch = JSON.stringify({ 0: input, 1: input });
  const plain = await hub.ask("POST", "/api/auth/login", {
    headers: { "content-type": "application/json" },
    body: single,
  });
  expect([plain.status, plain.headers.getSetCookie().length]).toEqual([200, 1]);
  const paths = [
    ...["/api/auth/login", "/api/trpc/auth.login"].flatMap((
      path,
    ) => [path, ...equals(path), ...others(path)]),
    ...["auth.login,auth.logout", "auth.logout,auth.login", "auth%2Elogin%2Cauth.login"].map((calls) =>
      `/api/trpc/${calls}?batch=1`
    ),
  ];
  for (const path of paths) {
    const answer = await hub.ask("POST", path, {
      headers: { ...CROSS_SITE, "content-type": "application/json" },
      body: path.endsWith("batch=1") ? batch : single,
    });
    expect([path, [400, 403, 404].includes(answer.status)]).toEqual([path, true]);
    expect([path, answer.headers.getSetCookie()]).toEqual([path, []]);
  }
});

test("failed sign-ins wait the same, whatever the spelling of the path", async () => {
  stopClock();
  const paths = [
    "/api/auth/login",
    ...equals("/api/auth/login"),
    "/api/trpc/auth.login",
    "/api/trpc/auth%2Elogin",
  ];
  const statuses: number[] = [];
  for (let at = 0; at < 8; at++) {
    const { status } = await hub.ask("POST", paths[at % paths.length]!, {
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ name: "admin", password: "wrong" }),
    });
    statuses.push(status);
  }
  expect(statuses).toEqual([401, 401, 401, 401, 401, 401, 429, 429]);
});

test("a batch costs the sum of its calls, however its commas are spelled", async () => {
  stopClock();
  const costOf = async (calls: string[], comma: string) => {
    const ask = async () =>
      (await decisionOf("GET", `/api/trpc/${calls.join(comma)}?batch=1&input={}`, {})).left!;
    const before = await ask();
    return before - await ask();
  };
  const plain = Array.from({ length: 20 }, () => "tests.list");
  for (const comma of [",", "%2C", "%2c"]) {
    expect([comma, await costOf(plain, comma)]).toEqual([comma, 20]);
    expect([comma, await costOf(["tests.list", "results.culprit", "results%2esummary"], comma)])
      .toEqual([comma, 21]);
  }
  const many = Array.from({ length: 21 }, () => "health.live");
  expect((await decisionOf("GET", `/api/trpc/${many.join("%2C")}?batch=1&input={}`, {})).status).toBe(400);
});

test("every route rejects a password or token in the query, and does not repeat it", async () => {
  for (const { method, path } of [...rest, ...trpc]) {
    for (const name of ["password", "token", "access_token", "Api-Key", "%70assword"]) {
      const { status, body } = await hub.ask(method, `${path}?x=1&${name}=hunter2hunter2`, {
        headers: { "content-type": "application/json" },
        ...(method === "GET" ? {} : { body: "{}" }),
      });
      expect([method, path, name, status]).toEqual([method, path, name, 400]);
      expect(body).toContain("must not be in a URL");
      expect(body).not.toContain("hunter2");
    }
  }
  const signIn = await hub.ask("POST", `/api/auth/login?name=admin&password=${app.token}`);
  expect([signIn.status, signIn.headers.getSetCookie()]).toEqual([400, []]);
}, 120_000);

test("secret fields are recognized by name, and no other field has such a name", () => {
  const secret: string[] = [];
  for (const { path, input } of [...routes, ...extra]) {
    for (const [name, schema] of Object.entries(input?.shape ?? {})) {
      const isSecret =
        (schema as { meta?(): { format?: string } | undefined }).meta?.()?.format === "password";
      if (isSecret) secret.push(`${path} ${name}`);
      expect([path, name, isSecretName(name)]).toEqual([path, name, isSecret]);
    }
  }
  expect(secret).toEqual(["/api/auth/login password"]);
});
