import { afterAll, beforeAll, expect, test } from "vitest";
import { type TestApp, testApp } from "../helpers/app.ts";
import { dropOf } from "../helpers/drop_rows.ts";

let app: TestApp;
beforeAll(async () => {
  app = await testApp();
  const drop = await dropOf(app.sql, ["file:///one"]);
  await drop.add(0, "main_Release_a", [10, 20, 30]);
  await drop.add(0, "main_Debug_a", [20, 30, 40]);
  await drop.gone(0, "main_Debug_a", [30]);
  await app.sql`
    insert into scans (root_id, state, cause, full_read, started_at, updated_at, finished_at, error, unread)
    values (${drop.roots[0]!.id}, 'failed', 'request', false, now(), now(), now(), 'mount /secret is away',
      '[{"place": "a", "reason": "mount /secret is away"}]')`;
  await app.sql`update package_readings set unread_reason = 'mount /secret is away'`;
});
afterAll(() => app.close());

// deno-lint-ignore no-explicit-any -- responses are untyped
async function get(path: string, options = {}): Promise<{ status: number; body: any }> {
  const response = await app.ask("GET", path, options);
  return { status: response.status, body: await response.json() };
}

test("every DVS route answers over REST", async () => {
  expect((await get("/api/dvs/packages?search=RELEASE&scanned=true&limit=5")).body).toMatchObject({
    items: [{ name: "main_Release_a", branch: "main", build: "Release", newest: 30, oldest: 10 }],
    nextCursor: null,
  });
  expect((await get("/api/dvs/packages/main_Debug_a")).body).toMatchObject({
    builds: 3,
    available: 2,
    gone: 1,
  });
  const { body: page } = await get(
    "/api/dvs/packages/main_Debug_a/changelists?available=true&order=asc&limit=1",
  );
  expect(page.items).toMatchObject([{
    changelist: 20,
    location: "file:///one/main_Debug_a/SW_20_main_Debug_a.tgz",
  }]);
  const next =
    `/api/dvs/packages/main_Debug_a/changelists?available=true&order=asc&cursor=${page.nextCursor}`;
  expect((await get(next)).body).toMatchObject({ items: [{ changelist: 40 }], nextCursor: null });
  expect((await get("/api/dvs/packages/main_Debug_a/changelists/30")).body).toMatchObject({
    package: "main_Debug_a",
    available: false,
    builds: [{ available: false, goneAt: expect.any(String) }],
  });
  expect((await get("/api/dvs/packages/main_Debug_a/nearest?changelist=33&direction=before")).body)
    .toMatchObject({ changelist: 20, distance: 13 });
  expect((await get("/api/dvs/common?packages=main_Release_a,main_Debug_a&from=1")).body).toEqual({
    items: [{ changelist: 20 }],
    nextCursor: null,
  });
});

test("a missing item is a 404 that suggests alternatives", async () => {
  const missing = await get("/api/dvs/packages/main_Debug_a/changelists/25");
  expect(missing.status).toBe(404);
  expect(missing.body.detail).toContain("the nearest available before is 20, after is 40");
  expect((await get("/api/dvs/packages/what")).status).toBe(404);
  const common = await get("/api/dvs/common?packages=main_Debug_a,huh");
  expect([common.status, common.body.detail]).toEqual([404, expect.stringContaining('"huh"')]);
  expect((await get("/api/dvs/scans/999999")).status).toBe(404);
});

test("invalid input is a 400 that names the field", async () => {
  for (
    const path of [
      "/api/dvs/packages?limit=0",
      "/api/dvs/packages?limit=1001",
      "/api/dvs/packages?build=Fast",
      "/api/dvs/packages?scanned=perhaps",
      "/api/dvs/packages?cursor=%00",
      "/api/dvs/packages?search=%00",
      "/api/dvs/packages/main_Debug_a/changelists?from=-1",
      "/api/dvs/packages/main_Debug_a/changelists?to=99999999999",
      "/api/dvs/packages/main_Debug_a/changelists?order=up",
      "/api/dvs/packages/main_Debug_a/changelists/0",
      "/api/dvs/packages/main_Debug_a/changelists/x",
      "/api/dvs/packages/main_Debug_a/nearest",
      "/api/dvs/packages/main_Debug_a/nearest?changelist=1&direction=up",
      "/api/dvs/common",
      "/api/dvs/common?packages=",
      "/api/dvs/scans/-1",
      "/api/dvs/scans?state=odd",
    ]
  ) {
    const { status, body } = await get(path);
    expect([path, status, typeof body.detail]).toEqual([path, 400, "string"]);
  }
  expect((await get("/api/dvs/packages?search=%F0%9F%8E%89%25_%5C'")).body.items).toEqual([]);
});

test("reasons of failed reads are shown to signed-in users only", async () => {
  for (const path of ["/api/dvs/scans", "/api/dvs/scans/1", "/api/dvs/packages/main_Release_a"]) {
    expect(JSON.stringify((await get(path)).body)).toContain("/secret");
    const { status, body } = await get(path, { signedOut: true });
    expect(status).toBe(200);
    expect(JSON.stringify(body)).not.toContain("/secret");
  }
});

test("only an admin can set `scanned` or request a scan", async () => {
  const path = "/api/dvs/packages/main_Release_a";
  expect((await app.ask("PATCH", path, { body: { scanned: false }, signedOut: true })).status).toBe(401);
  expect((await app.ask("POST", "/api/dvs/scans", { body: {}, signedOut: true })).status).toBe(401);
  expect((await app.ask("PATCH", path, { body: { scanned: "maybe" } })).status).toBe(400);
  const patched = await app.ask("PATCH", path, { body: { scanned: false } });
  expect(await patched.json()).toMatchObject({ name: "main_Release_a", scanned: false });
  expect((await app.ask("PATCH", "/api/dvs/packages/what", { body: { scanned: false } })).status).toBe(404);
});

test("a scan is enqueued once while it waits, and a plain scan does not absorb a full one", async () => {
  const ask = async (body: unknown) => {
    const response = await app.ask("POST", "/api/dvs/scans", { body });
    return [response.status, (await response.json()).enqueued];
  };
  expect(await ask({})).toEqual([202, true]);
  expect(await ask({ full: false })).toEqual([202, false]);
  expect(await ask({ full: true })).toEqual([202, true]);
  expect(await ask({ full: true })).toEqual([202, false]);
  expect(await ask({ full: "often" })).toEqual([400, undefined]);
  const waiting = await app.sql`
    select data from queue.job where name = 'scan_drop' and state = 'created' order by data ->> 'full'`;
  expect(waiting.map((row) => row.data)).toEqual([
    { full: false, cause: "request" },
    { full: true, cause: "request" },
  ]);
});
