import { gunzipSync } from "node:zlib";
import { afterAll, beforeAll, expect, test } from "vitest";
import { JsonText } from "../../db/core/json_text.ts";
import { type CachedPage, createPageCache } from "../../routers/page_cache.ts";
import { type TestApp, testApp } from "../helpers/app.ts";
import { settled } from "../helpers/settled.ts";

let app: TestApp;
beforeAll(async () => {
  app = await testApp();
});
afterAll(() => app.close());

function pageOf(text: string, version = "1"): CachedPage {
  return { version, tag: '"t"', answer: new JsonText(text, version) };
}

test("a page is cached at its second request, the least recently used is evicted first, and large pages are not cached", () => {
  const pages = createPageCache(30_000);
  const text = "x".repeat(48);
  pages.offer("q00", pageOf(text));
  expect(pages.find("q00")).toBeUndefined();
  pages.offer("q00", pageOf(text));
  expect(pages.find("q00")!.answer.text).toBe(text);
  pages.offer("q00", pageOf("newer", "2"));
  expect(pages.find("q00")!.version).toBe("2");
  for (const twice of [pageOf("y".repeat(1000)), pageOf("y".repeat(1000))]) pages.offer("big", twice);
  expect(pages.find("big")).toBeUndefined();
  for (let at = 10; at < 40; at++) {
    for (const twice of [pageOf(text), pageOf(text)]) pages.offer(`q${at}`, twice);
    pages.find("q00");
  }
  expect([pages.find("q00")?.version, pages.find("q10"), pages.find("q39")?.version]).toEqual([
    "2",
    undefined,
    "1",
  ]);
  const long = "q".repeat(2000);
  const roomy = createPageCache(1_000_000);
  for (const twice of [pageOf(text), pageOf(text)]) roomy.offer(long, twice);
  expect(roomy.find(long)).toBeUndefined();
  const none = createPageCache(0);
  for (const twice of [pageOf(text), pageOf(text)]) none.offer("q", twice);
  expect(none.find("q")).toBeUndefined();
});

async function push(test: string, externalId: string, names: string[], to = app): Promise<void> {
  const raw = names.map((name) => JSON.stringify({ case: name, outcome: "passed" })).join("\n");
  const response = await to.ask("POST", `/api/results?test=${test}&changelist=7&externalId=${externalId}`, {
    raw,
    headers: { "content-type": "application/x-ndjson" },
  });
  expect(response.status, await response.clone().text()).toBeLessThan(300);
}

/** Locks a table during `act`, so that responses given meanwhile cannot have read it. */
async function withLocked<T>(table: string, act: () => Promise<T>): Promise<T> {
  return await app.sql.begin(async (tx) => {
    await tx.unsafe(`lock table ${table} in access exclusive mode`);
    return await act();
  }) as T;
}

const casesOf = (page: { items: { case: string }[] }) => page.items.map((item) => item.case);

test("repeated requests for results are served from the cache, by REST and tRPC, until the results change", async () => {
  await push("held", "1", ["a", "ü"]);
  await settled(app.sql);
  const path = "/api/results?test=held";
  const trpc = (batch: string, input: string) =>
    `/api/trpc/results.list${batch}input=${encodeURIComponent(input)}`;
  const first = await (await app.ask("GET", path)).text();
  await app.ask("GET", path);
  await withLocked("results", async () => {
    const again = await app.ask("GET", path);
    expect(await again.text()).toBe(first);
    const tag = again.headers.get("etag")!;
    expect((await app.ask("GET", path, { headers: { "if-none-match": tag } })).status).toBe(304);

    for (const encoding of ["gzip", "br, gzip;q=0.5"]) {
      const packed = await app.ask("GET", path, { headers: { "accept-encoding": encoding } });
      expect(packed.headers.get("content-encoding")).toBe("gzip");
      expect([packed.headers.get("etag"), packed.headers.get("vary")]).toEqual([
        tag,
        "authorization, cookie, accept-encoding",
      ]);
      expect(gunzipSync(new Uint8Array(await packed.arrayBuffer())).toString()).toBe(first);
    }
    for (const encoding of ["identity", "gzip;q=0", "deflate;q=0.5, identity"]) {
      const plain = await app.ask("GET", path, { headers: { "accept-encoding": encoding } });
      expect(plain.headers.get("content-encoding"), encoding).not.toBe("gzip");
      await plain.body?.cancel();
    }
    const head = await app.ask("HEAD", path, { headers: { "accept-encoding": "gzip" } });
    expect([head.status, head.headers.get("etag"), await head.text()]).toEqual([200, tag, ""]);

    const one = await (await app.ask("GET", trpc("?", '{"test":"held"}'))).json();
    expect(casesOf(one.result.data)).toEqual(["a", "ü"]);
    const two = await (await app.ask(
      "GET",
      trpc(",results.list?batch=1&", '{"0":{"test":"held"},"1":{"test":"held"}}'),
    ))
      .json();
    expect(two.map((answer: typeof one) => casesOf(answer.result.data))).toEqual([["a", "ü"], ["a", "ü"]]);
  });
  await push("held", "2", ["b"]);
  expect(casesOf(await (await app.ask("GET", path)).json())).toEqual(["b", "a", "ü"]);
  await app.sql`update runs set expired_at = now() where source = 'push:held' and external_id = '1'`;
  expect(casesOf(await (await app.ask("GET", path)).json())).toEqual(["b"]);
  await app.sql`update tests set deleted_at = now() where name = 'held'`;
  expect((await app.ask("GET", path)).status).toBe(404);
});

test("a response is never older than what was committed before the request", async () => {
  const path = "/api/results?test=busy&limit=1000";
  await push("busy", "0", ["a"]);
  for (let run = 1; run <= 20; run++) {
    await push("busy", String(run), ["a"]);
    const counts = await Promise.all(Array.from({ length: 8 }, async () => {
      return (await (await app.ask("GET", path)).json()).items.length;
    }));
    expect(counts).toEqual(Array(8).fill(run + 1));
  }
});

test("repeated requests for builds are served from the cache until a scan's batch or a root changes", async () => {
  const { sql } = app;
  await sql`insert into packages (name) values ('calc')`;
  await sql`insert into roots (url, name) values ('file:///drop', 'drop')`;
  await sql`
    insert into builds (root_id, package_id, changelist, file, first_seen)
    select roots.id, packages.id, 5, 'f', now() from roots, packages`;
  const path = "/api/dvs/packages/calc/changelists";
  const first = await (await app.ask("GET", path)).json();
  expect(first.items).toHaveLength(1);
  await app.ask("GET", path);
  await withLocked("builds", async () => {
    expect(await (await app.ask("GET", path)).json()).toEqual(first);
  });
  await sql`update roots set name = 'renamed'`;
  expect((await (await app.ask("GET", path)).json()).items[0].root).toBe("renamed");
});

test("a caller who may not read gets nothing from the cache", async () => {
  const closed = await testApp({ READ_REQUIRES_LOGIN: "true" });
  try {
    await push("secret", "1", ["a"], closed);
    await settled(closed.sql);
    const path = "/api/results?test=secret";
    for (let time = 0; time < 3; time++) expect((await closed.ask("GET", path)).status).toBe(200);
    expect((await closed.ask("GET", path, { signedOut: true })).status).toBe(401);
  } finally {
    await closed.close();
  }
});
