import { afterAll, beforeAll, expect, test } from "vitest";
import { type TestApp, testApp } from "../helpers/app.ts";

let app: TestApp;
let folder: string;
beforeAll(async () => {
  folder = await Deno.makeTempDir({ prefix: "chub-results-" });
  app = await testApp({ SCRAPE_ROOTS: folder });
});
afterAll(async () => {
  await app.close();
  await Deno.remove(folder, { recursive: true });
});

// deno-lint-ignore no-explicit-any -- responses are untyped
async function ask(method: string, path: string, options = {}): Promise<{ status: number; body: any }> {
  const response = await app.ask(method, path, options);
  return { status: response.status, body: await response.json() };
}

const push = (test: string, changelist: number, cases = 1) =>
  ask("POST", "/api/results", {
    body: {
      test,
      changelist,
      externalId: String(changelist),
      results: Array.from({ length: cases }, (_, at) => ({ case: `c${at}`, outcome: "passed" })),
    },
  });

test("a dry run returns what would be stored and ignored, and stores nothing", async () => {
  await Deno.writeTextFile(
    `${folder}/100-r.xml`,
    `<testsuite><testcase name="a"/><testcase name="b"/></testsuite>`,
  );
  await Deno.writeTextFile(
    `${folder}/101-r.xml`,
    `<testsuite><testcase name="a"><failure/></testcase></testsuite>`,
  );
  await Deno.writeTextFile(`${folder}/notes.txt`, "no result");
  const settings = { url: `file://${folder}`, pattern: "(?<changelist>\\d+)-.*\\.xml$" };
  const made = await ask("POST", "/api/tests", { body: { name: "dry", scraper: "files", settings } });
  expect(made.status).toBe(201);
  const tried = await ask("POST", "/api/tests/dry/scrape", { body: { dryRun: true } });
  expect(tried.status).toBe(200);
  expect(tried.body).toMatchObject({
    enqueued: false,
    dryRun: { runs: 2, results: 3, seen: 3, ignored: { "does not match the pattern": 1 }, isCut: false },
  });
  expect(tried.body.dryRun.items.map((run: { changelist: number }) => run.changelist).sort()).toEqual([
    100,
    101,
  ]);
  expect(await app.sql`select id from runs`).toHaveLength(0);
  expect(await app.sql`select id from scrapes`).toHaveLength(0);
});

test("a scrape is enqueued once while it waits", async () => {
  expect(await ask("POST", "/api/tests/dry/scrape", { body: {} })).toMatchObject({
    status: 202,
    body: { enqueued: true, dryRun: null },
  });
  expect((await ask("POST", "/api/tests/dry/scrape")).body.enqueued).toBe(false);
  expect((await ask("POST", "/api/tests/nobody/scrape")).status).toBe(404);
  expect((await ask("POST", "/api/tests/dry/scrape", { signedOut: true })).status).toBe(401);
});

test("a dry run reports settings that have become invalid, with the error of a creation", async () => {
  await app.sql`update tests set settings = '{"url": "file:///nowhere", "depth": "deep"}' where name = 'dry'`;
  const { status, body } = await ask("POST", "/api/tests/dry/scrape", { body: { dryRun: true } });
  expect(status).toBe(400);
  expect(body.issues.map((issue: { path: string }) => issue.path)).toContain("settings.depth");
});

test("scrapes are listed newest first; ignored items and errors are shown to signed-in users only", async () => {
  await app.sql`
    insert into scrapes (test_id, state, cause, started_at, finished_at, ignored, error)
    select id, 'failed', 'schedule', now(), now(), '{"from /secret": 2}', 'at /secret' from tests where name = 'dry'`;
  await app.sql`
    insert into scrapes (test_id, state, cause, started_at, finished_at)
    select id, 'done', 'request', now(), now() from tests where name = 'dry'`;
  const first = await ask("GET", "/api/tests/dry/scrapes?limit=1");
  expect(first.body.items).toMatchObject([{ state: "done", cause: "request", error: null }]);
  const second = await ask("GET", `/api/tests/dry/scrapes?limit=1&cursor=${first.body.nextCursor}`);
  expect(second.body).toMatchObject({
    items: [{ state: "failed", error: "at /secret", ignored: { "from /secret": 2 } }],
    nextCursor: null,
  });
  for (const path of ["/api/tests/dry/scrapes", "/api/tests/dry", "/api/tests", "/api/scrapers"]) {
    const { status, body } = await ask("GET", path, { signedOut: true });
    expect([path, status, JSON.stringify(body).includes("/secret")]).toEqual([path, 200, false]);
  }
});

test("a deleted test is not listed, its results are kept, and a push restores it as a pushed test", async () => {
  const settings = { url: `file://${folder}`, pattern: "(?<changelist>\\d+)-.*\\.xml$" };
  await ask("POST", "/api/tests", { body: { name: "kept", scraper: "files", settings } });
  await push("kept", 5);
  expect((await ask("DELETE", "/api/tests/kept")).body).toEqual({ runsDeleted: 0 });
  expect((await ask("GET", "/api/tests/kept")).status).toBe(404);
  expect((await ask("DELETE", "/api/tests/kept")).status).toBe(404);
  expect(await app.sql`select runs.id from runs join tests on tests.id = test_id where name = 'kept'`)
    .toHaveLength(1);
  await push("kept", 6);
  expect((await ask("GET", "/api/tests/kept")).body).toMatchObject({
    scraper: "push",
    settings: {},
    failures: 0,
  });
  expect((await ask("GET", "/api/runs?test=kept")).body.items).toHaveLength(2);
});

test("an interrupted deletion with results continues when repeated", async () => {
  await push("cut", 1, 3);
  await push("cut", 2, 3);
  await app.sql`update tests set deleted_at = now(), enabled = false where name = 'cut'`;
  expect((await ask("DELETE", "/api/tests/cut?results=true")).body).toEqual({ runsDeleted: 2 });
  expect((await ask("DELETE", "/api/tests/cut?results=true")).status).toBe(404);
  const [left] = await app.sql`
    select (select count(*)::int from cases where test_id = tests.id) as cases from tests where name = 'cut'`;
  expect(left).toEqual({ cases: 0 });
  const [results] = await app
    .sql`select count(*)::int as n from results where case_id not in (select id from cases)`;
  expect(results!.n).toBe(0);
});

test("an unknown test is a 404 that suggests similar names", async () => {
  await push("nightly-linux", 1);
  expect((await ask("GET", "/api/tests/nihgtly-linux")).body.detail).toContain('"nightly-linux"');
});
