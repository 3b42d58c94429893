import { afterEach, expect, test } from "vitest";
import { createFetch } from "../../../scrapers/http/fetch.ts";
import { retryAfterMs } from "../../../scrapers/http/rate_limits.ts";
import { stopClock } from "../../helpers/clock.ts";
import { allowance, serve } from "../../helpers/lab_server.ts";

const servers: { close(): Promise<void> }[] = [];
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()));
});
function serving(...args: Parameters<typeof serve>) {
  const server = serve(...args);
  servers.push(server);
  return server;
}
function bounded(host: string, options: Partial<Parameters<typeof createFetch>[0]> = {}) {
  const waits: number[] = [];
  const fetch = createFetch({
    allow: allowance({ hosts: [host] }),
    random: () => 1,
    sleep: (ms) => (waits.push(ms), Promise.resolve()),
    ...options,
  });
  return { fetch, waits };
}

test("retries a 500 with doubling waits, and returns the response", async () => {
  let asked = 0;
  const server = serving(() => ++asked < 3 ? new Response("no", { status: 500 }) : new Response("yes"));
  const { fetch, waits } = bounded(server.host);
  expect(await (await fetch(server.url)).text()).toBe("yes");
  expect(waits).toEqual([500, 1000]);
});

test("returns the last error response after all attempts, and does not retry what a retry cannot fix", async () => {
  let asked = 0;
  const server = serving((
    _,
    url,
  ) => (asked++, new Response("no", { status: url.pathname === "/404" ? 404 : 503 })));
  const { fetch } = bounded(server.host, { attempts: 3 });
  const gone = await fetch(`${server.url}/404`);
  expect([gone.status, asked]).toEqual([404, 1]);
  await gone.body?.cancel();
  const busy = await fetch(server.url);
  expect([busy.status, asked]).toEqual([503, 4]);
  await busy.body?.cancel();
});

test.each([
  ["a 403 that says when (GitHub's secondary limit)", 403, {
    "retry-after": "2",
    "x-ratelimit-remaining": "4800",
  }, 2000],
  ["a 500 that says when", 500, { "retry-after": "30" }, 30_000],
  [
    "the longer of two",
    429,
    { "retry-after": "40", "x-ratelimit-remaining": "0", "x-ratelimit-reset": "2" },
    40_000,
  ],
  ["no time at all", 429, { "retry-after": "0" }, 500],
  ["parts of a second", 503, { "retry-after": "1.5" }, 1500],
])("waits as %s asks", async (_what, status, headers, ms) => {
  stopClock();
  let asked = 0;
  const server = serving(() => ++asked === 1 ? new Response("", { status, headers }) : new Response("ok"));
  const { fetch, waits } = bounded(server.host);
  expect(await (await fetch(server.url)).text()).toBe("ok");
  expect(waits).toEqual([ms]);
});

test("a limit that has just passed by the host's clock still counts; a plain 403 is returned at once", async () => {
  stopClock();
  const reset = String(Math.floor(Date.now() / 1000) - 5);
  let asked = 0;
  const server = serving(() =>
    ++asked > 1 ? new Response("") : new Response("", {
      status: 403,
      headers: { "x-ratelimit-remaining": "0", "x-ratelimit-reset": reset },
    })
  );
  const { fetch, waits } = bounded(server.host);
  expect((await fetch(server.url)).status).toBe(200);
  expect(waits).toEqual([1000]);
  const plain = serving(() => new Response("", { status: 403 }));
  const other = bounded(plain.host);
  expect([(await other.fetch(plain.url)).status, other.waits]).toEqual([403, []]);
});

test("errors of unreachable hosts and of too large responses do not contain the address's query", async () => {
  const far = serving(() => new Response("x".repeat(100)));
  const server = serving((_, url) =>
    url.pathname === "/bad"
      ? new Response("", { status: 302, headers: { location: "http://[bad?sig=hush" } })
      : new Response("", { status: 302, headers: { location: `${far.url}/x?X-Amz-Signature=hush` } })
  );
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const nobody = `127.0.0.1:${listener.addr.port}`;
  listener.close();
  const fetch = createFetch({
    allow: allowance({ hosts: [server.host, far.host, nobody] }),
    sleep: () => Promise.resolve(),
  });
  const messages = await Promise.all([
    fetch(`http://${nobody}/?token=hush`),
    fetch(`${server.url}/bad?token=hush`),
    fetch(`${server.url}/far?token=hush`, { maxBytes: 10 }).then((response) => response.text()),
  ].map((one) => one.then(() => "", (error: Error) => error.message)));
  expect(messages).toEqual([
    `No response from http://${nobody}/: connection refused`,
    `${server.url}/bad redirects to an invalid URL.`,
    `${far.url}/x sent more than 10 bytes.`,
  ]);
});

test("obeys Retry-After", async () => {
  stopClock();
  let asked = 0;
  const server = serving(() =>
    ++asked === 1 ? new Response("", { status: 429, headers: { "retry-after": "7" } }) : new Response("ok")
  );
  const { fetch, waits } = bounded(server.host);
  await (await fetch(server.url)).text();
  expect(waits).toEqual([7000]);
  const now = Date.parse("2024-01-01T00:00:00Z");
  const after = (value: string) => retryAfterMs(new Headers({ "retry-after": value }), now);
  expect(after("Mon, 01 Jan 2024 00:00:05 GMT")).toBe(5000);
  expect(after("99999999")).toBe(86_400_000);
  expect(after("Mon, 01 Jan 2001 00:00:05 GMT")).toBe(0);
  expect(after("soon")).toBeUndefined();
});

test("stops an endless body at the limit", async () => {
  let sent = 0;
  const server = serving(() =>
    new Response(
      new ReadableStream({
        pull(controller) {
          sent += 65_536;
          controller.enqueue(new Uint8Array(65_536));
        },
      }),
    )
  );
  const { fetch } = bounded(server.host);
  const response = await fetch(server.url, { maxBytes: 1 << 20 });
  await expect(response.arrayBuffer()).rejects.toMatchObject({
    code: "BAD_GATEWAY",
    message: expect.stringContaining("sent more than 1048576 bytes"),
  });
  expect(sent).toBeLessThan(16 << 20);
});

test("gives up on a server that hangs, before or within the body", async () => {
  const server = serving((_, url) =>
    url.pathname === "/body"
      ? new Response(new ReadableStream({ start: (controller) => controller.enqueue(new Uint8Array(10)) }))
      : new Promise<Response>(() => {})
  );
  const { fetch, waits } = bounded(server.host, { timeLimitMs: 100, attempts: 2 });
  await expect(fetch(server.url)).rejects.toMatchObject({
    code: "BAD_GATEWAY",
    message: expect.stringContaining("No response from"),
  });
  expect(waits).toHaveLength(1);
  // Enough time for the start of the response.
  const patient = bounded(server.host, { timeLimitMs: 3000, attempts: 1 });
  const response = await patient.fetch(`${server.url}/body`);
  await expect(response.text()).rejects.toThrow();
  // It would wait for a response that never comes.
  servers.pop();
});

test("follows only redirects to allowed hosts, and only a few", async () => {
  const other = serving(() => new Response("secret"));
  const server = serving((_, url) =>
    url.pathname === "/out"
      ? Response.redirect(other.url)
      : url.pathname === "/file"
      ? new Response(null, { status: 302, headers: { location: "file:///etc/passwd" } })
      : url.pathname === "/loop"
      ? Response.redirect(`${url.origin}/loop`)
      : url.pathname === "/one"
      ? Response.redirect(`${url.origin}/end`)
      : new Response("end")
  );
  const { fetch, waits } = bounded(server.host, { attempts: 1 });
  expect(await (await fetch(`${server.url}/one`)).text()).toBe("end");
  await expect(fetch(`${server.url}/out`)).rejects.toMatchObject({
    code: "BAD_REQUEST",
    message: expect.stringContaining("SCRAPE_HOSTS"),
  });
  await expect(fetch(`${server.url}/file`)).rejects.toMatchObject({ code: "BAD_REQUEST" });
  await expect(fetch(`${server.url}/loop`)).rejects.toMatchObject({ code: "BAD_GATEWAY" });
  expect(waits).toEqual([]);
});

test("stops at once when aborted", async () => {
  const controller = new AbortController();
  let asked = 0;
  const server = serving(
    () => (asked++, controller.abort(new Error("stop")), new Response("", { status: 500 })),
  );
  const { fetch } = bounded(server.host);
  await expect(fetch(server.url, { signal: controller.signal })).rejects.toThrow("stop");
  expect(asked).toBe(1);
});

test("reports a refused connection", async () => {
  const server = serve(() => new Response(""));
  await server.close();
  const { fetch, waits } = bounded(server.host);
  await expect(fetch(server.url)).rejects.toMatchObject({ code: "BAD_GATEWAY" });
  expect(waits).toHaveLength(3);
});
