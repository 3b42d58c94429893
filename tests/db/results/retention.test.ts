import { afterAll, beforeAll, expect, test } from "vitest";
import { sweepResults } from "../../../cron/tasks/sweep_results.ts";
import { type TestApp, testApp } from "../../helpers/app.ts";

let app: TestApp;
beforeAll(async () => {
  app = await testApp({ KEEP_RESULTS_DAYS: "30" });
});
afterAll(() => app.close());

const DAY_MS = 86_400_000;

async function ask(method: string, path: string, body?: unknown) {
  const response = await app.ask(method, path, body === undefined ? {} : { body });
  return { status: response.status, body: await response.json() };
}

/** Pushes a run and dates it some days back. */
async function push(name: string, externalId: string, ageDays: number, more: Record<string, unknown> = {}) {
  const { status, body } = await ask("POST", "/api/results", {
    test: name,
    changelist: 10_000 - ageDays,
    externalId,
    results: [{ case: "a", outcome: "failed", samples: [{ metric: "m", value: 1 }] }, {
      case: "b",
      outcome: "passed",
    }],
    ...more,
  });
  expect([200, 201], JSON.stringify(body)).toContain(status);
  await app
    .sql`update runs set updated_at = now() - make_interval(days => ${ageDays}) where id = ${body.runId}`;
  return body.runId as number;
}

function sweep(days = 0) {
  return sweepResults({
    sql: app.sql,
    config: app.config,
    now: () => new Date(Date.now() + days * DAY_MS),
    log: () => {},
  }, new AbortController().signal);
}

const rowsOf = async (id: number) => {
  const [row] = await app.sql`
    select (select count(*)::int from results where run_id = ${id}) as results,
      (select count(*)::int from samples where run_id = ${id}) as samples`;
  return [row!.results, row!.samples];
};
const planOf = async (name: string) =>
  (await ask("GET", "/api/retention")).body.items.find((item: { test: string }) => item.test === name);

test("results past their test's retention are deleted run by run; heads and counts stay, and a plan lists them before", async () => {
  const old = await push("plain", "old", 31);
  const young = await push("plain", "young", 29);
  const long = await push("long", "old", 31);
  const short = await push("short", "young", 29);
  const ever = await push("ever", "old", 5000);
  for (const [name, keepDays] of [["long", 40], ["short", 7], ["ever", 0]] as const) {
    expect((await ask("PATCH", `/api/tests/${name}`, { keepDays })).body.keepDays).toBe(keepDays);
  }
  const plan = (await ask("GET", "/api/retention")).body;
  expect(plan).toMatchObject({
    keepDays: 30,
    runs: 2,
    results: 4,
    partitions: 0,
    items: [
      { test: "plain", keepDays: 30, runs: 1, results: 2, samples: 1, held: 0 },
      { test: "short", keepDays: 7, runs: 1, results: 2, samples: 1, held: 0 },
    ],
  });
  expect(plan.items[0].newest).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  expect(Date.now() - Date.parse(plan.items[0].oldest)).toBeGreaterThan(30 * DAY_MS);
  expect(await rowsOf(old)).toEqual([2, 1]);
  expect(await sweep()).toEqual({ runs: 2, partitions: 0 });
  expect([await rowsOf(old), await rowsOf(short)]).toEqual([[0, 0], [0, 0]]);
  expect([await rowsOf(young), await rowsOf(long), await rowsOf(ever)]).toEqual([[2, 1], [2, 1], [2, 1]]);
  expect(await sweep()).toEqual({ runs: 0, partitions: 0 });
  expect((await ask("GET", `/api/runs/${old}`)).body).toMatchObject({
    counts: { passed: 1, failed: 1 },
    expiredAt: expect.stringMatching(/Z$/),
  });
  const { items } = (await ask("GET", "/api/results?test=plain&limit=2")).body;
  expect(items.map((item: { runId: number }) => item.runId)).toEqual([young, young]);
  expect((await ask("PATCH", "/api/tests/short", { keepDays: null })).body.keepDays).toBeNull();
});

test("pinned runs stay, as do bad runs under an active waiver", async () => {
  const pinned = await push("held", "pinned", 50);
  const waived = await push("held", "waived", 60, { environment: { os: "linux" } });
  const good = await push("held", "good", 60, { results: [{ case: "a", outcome: "passed" }] });
  const elsewhere = await push("held", "elsewhere", 60, { environment: { os: "other" } });
  const later = await push("held", "later", 45);
  expect((await ask("PATCH", `/api/runs/${pinned}`, { pinned: true, reason: "the release" })).body.pinned)
    .toBe(true);
  await app.sql`
    insert into waivers (test_id, case_id, environment, axis_id, changelist_to, owner, reason, expires_at)
    select runs.test_id, cases.id, '{"os": "linux"}', runs.axis_id, 9941, 'o', 'r', now() + interval '1 hour'
    from runs join cases on cases.test_id = runs.test_id and cases.name = 'a' where runs.id = ${waived}`;
  expect(await planOf("held")).toMatchObject({ runs: 3, held: 2 });
  await sweep();
  const rows = [];
  for (const id of [pinned, waived, good, elsewhere, later]) rows.push((await rowsOf(id))[0]);
  expect(rows).toEqual([2, 2, 0, 0, 0]);
  // Once the waiver has expired and the pin is removed, they are deleted too.
  await app.sql`update waivers set expires_at = now() - interval '1 hour'`;
  await ask("PATCH", `/api/runs/${pinned}`, { pinned: false });
  expect(await planOf("held")).toMatchObject({ runs: 2, held: 0 });
  await sweep();
  expect((await ask("PATCH", `/api/runs/${pinned}`, { pinned: true })).body.detail).toMatch(
    /already deleted because of their age/,
  );
  expect((await ask("PATCH", "/api/runs/999999", { pinned: true })).status).toBe(404);
});

test("an expired run stays expired when repeated, and is revived by new content", async () => {
  const id = await push("back", "b", 40);
  await sweep();
  expect(await push("back", "b", 40)).toBe(id);
  expect(await rowsOf(id)).toEqual([0, 0]);
  await push("back", "b", 0, { results: [{ case: "c", outcome: "passed" }] });
  expect(await rowsOf(id)).toEqual([1, 0]);
  expect((await ask("GET", `/api/runs/${id}`)).body.expiredAt).toBeNull();
  const merged = await push("back", "m", 40);
  await sweep();
  await push("back", "m", 0, {
    mode: "merge",
    changelist: 9960,
    results: [{ case: "c", outcome: "passed" }],
  });
  expect((await ask("GET", `/api/runs/${merged}`)).body).toMatchObject({
    counts: { passed: 1 },
    expiredAt: null,
  });
});

test("a partition without kept runs is dropped, and recreated when a run in it is revived", async () => {
  const parts = async () =>
    (await app
      .sql`select child.relname as name from pg_inherits join pg_class as child on child.oid = inhrelid
      where inhparent in ('results'::regclass, 'samples'::regclass) order by 1`).map((row) => row.name);
  const kept = await push("whole", "kept", 400);
  await ask("PATCH", `/api/runs/${kept}`, { pinned: true });
  await app.sql`select setval('runs_id_seq', 59000)`;
  await app.sql`select ensure_results_partition(n) from generate_series(20000, 80000, 20000) n`;
  const gone = await push("whole", "gone", 400);
  await app.sql`select setval('runs_id_seq', 79990)`;
  const young = await push("whole", "young", 1);
  const before = await parts();
  expect(before).toContain("results_2");
  expect((await ask("GET", "/api/retention")).body.partitions).toBeGreaterThan(0);
  const swept = await sweep();
  expect(swept.partitions).toBe(2); // the second, which held nothing, and the third
  expect(
    before.filter((name: string) => !["results_1", "results_2", "samples_1", "samples_2"].includes(name)),
  )
    .toEqual(await parts());
  expect([await rowsOf(kept), await rowsOf(gone), await rowsOf(young)]).toEqual([[2, 1], [0, 0], [2, 1]]);
  expect((await ask("GET", `/api/runs/${gone}`)).body.expiredAt).not.toBeNull();
  await push("whole", "gone", 0, { results: [{ case: "z", outcome: "passed" }] });
  expect(await rowsOf(gone)).toEqual([1, 0]);
});

test("readers that lock the table do not stop the sweep: rows are deleted run by run", async () => {
  await app.sql`select setval('runs_id_seq', 99990)`;
  await app.sql`select ensure_results_partition(120000)`;
  const old = await push("busy", "old", 400);
  await app.sql`select setval('runs_id_seq', 120010)`;
  const reader = await app.sql.reserve();
  await reader`begin`;
  await reader`select 1 from results limit 1`;
  await sweep();
  await reader`commit`;
  reader.release();
  expect(await rowsOf(old)).toEqual([0, 0]);
  expect((await sweep()).partitions).toBeGreaterThan(0);
});
