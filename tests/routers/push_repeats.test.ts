import { afterAll, beforeAll, expect, test } from "vitest";
import { type TestApp, testApp } from "../helpers/app.ts";

let app: TestApp;
beforeAll(async () => {
  app = await testApp();
});
afterAll(() => app.close());

const RESULTS = [{ case: "c", outcome: "failed" }];

async function push(body: Record<string, unknown>, key?: string) {
  const response = await app.ask("POST", "/api/results", {
    body: { changelist: 1, results: RESULTS, ...body },
    headers: key === undefined ? {} : { "idempotency-key": key },
  });
  return { status: response.status, body: await response.json() };
}

async function runsOf(name: string) {
  const { items } = await (await app.ask("GET", `/api/runs?test=${name}`)).json();
  return items as { id: number; attempt: number; counts: Record<string, number> }[];
}

test("a case with too many results is rejected, and the hub keeps working", async () => {
  const results = Array.from({ length: 32_768 }, () => ({ case: "a", outcome: "passed" }));
  for (let tries = 0; tries < 12; tries++) {
    const { status, body } = await push({ test: "often", results, changelist: tries + 1 });
    expect([status, body.detail]).toEqual([400, expect.stringContaining("more than 32767 times")]);
  }
  expect((await push({ test: "often" })).status).toBe(201);
});

test("concurrent appends to a run get separate attempts", async () => {
  expect((await push({ test: "appended" })).status).toBe(201);
  const all = await Promise.all(Array.from({ length: 8 }, (_, at) =>
    push({
      test: "appended",
      mode: "append",
      externalId: "T1",
      results: [{ case: "c", outcome: "passed", message: `${at}` }],
    }, `key-${at}`)));
  expect(all.map((one) => one.status)).toEqual(Array(8).fill(201));
  expect(new Set(all.map((one) => one.body.runId)).size).toBe(8);
  const attempts = (await runsOf("appended")).map((run) => run.attempt).filter((one) => one > 0);
  expect(Math.max(...attempts)).toBe(8);
});

test("the same content is the same run, whatever its spelling and mode", async () => {
  const first = { test: "same", environment: { a: "1", b: "2" }, startedAt: "2026-01-01T00:00:00Z" };
  expect((await push(first)).status).toBe(201);
  const spelled = { test: "same", environment: { b: "2", a: "1" }, startedAt: "2026-01-01T01:00:00+01:00" };
  expect((await push(spelled)).status).toBe(200);
  expect((await push({ ...first, mode: "reject" })).status).toBe(409);
  expect((await push({ ...first, mode: "append" }, "again")).status).toBe(201);
  expect((await runsOf("same")).map((run) => run.attempt).sort()).toEqual([1, 2]);
});

test("a part repeated after an append changes nothing", async () => {
  const piece = { test: "pieces", externalId: "P", mode: "merge" };
  expect((await push(piece)).status).toBe(201);
  const passed = [{ case: "c", outcome: "passed" }];
  expect((await push({ ...piece, mode: "append", results: passed }, "pc1")).status).toBe(201);
  expect((await push(piece)).status).toBe(200);
  expect((await runsOf("pieces")).find((run) => run.attempt === 2)!.counts).toEqual({ passed: 1 });
});

test("parts from several machines, named in their files, are one run", async () => {
  const shard = (host: string, name: string) =>
    app.ask("POST", "/api/results?test=shards&changelist=1&mode=merge&externalId=S", {
      raw: `<testsuite hostname="${host}"><testcase name="${name}"/></testsuite>`,
      headers: { "content-type": "application/xml" },
    });
  expect((await shard("h1", "a")).status).toBe(201);
  expect((await shard("h2", "b")).status).toBe(200);
  expect((await runsOf("shards")).map((run) => run.counts)).toEqual([{ passed: 2 }]);
  const other = await push({ test: "shards", externalId: "S", mode: "merge", environment: { os: "x" } });
  expect([other.status, other.body.detail]).toEqual([
    409,
    expect.stringContaining('its environment is {"os":"x"}, but the run\'s is {}'),
  ]);
});

test("a duration below the stored precision is null, and a time out of range is an error of its field", async () => {
  const results = [{ case: "a", outcome: "passed", durationMs: 1e-50 }, { case: "b", outcome: "passed" }];
  const small = await push({ test: "small", results });
  expect(small.status).toBe(201);
  const { items } = await (await app.ask("GET", `/api/runs/${small.body.runId}/results`)).json();
  expect(items[0].durationMs).toBe(0);
  for (const startedAt of ["0000-01-01T00:00:00Z", "0001-01-01T00:00:00+23:00"]) {
    const refused = await push({ test: "small", startedAt });
    expect([refused.status, refused.body.detail]).toEqual([400, expect.stringContaining("startedAt")]);
  }
});

test("an Idempotency-Key whose run was deleted with its test can be used again", async () => {
  const body = { test: "forgotten", mode: "append", externalId: "1" };
  expect((await push(body, "once")).status).toBe(201);
  expect((await app.ask("DELETE", "/api/tests/forgotten?results=true")).status).toBe(200);
  const again = await push(body, "once");
  expect(again.status).toBe(201);
  const repeat = await push(body, "once");
  expect([repeat.status, repeat.body.runId]).toEqual([200, again.body.runId]);
});

test("the export of a run is aborted if the run is replaced meanwhile", async () => {
  const many = (outcome: string) => Array.from({ length: 5000 }, (_, at) => ({ case: `c${at}`, outcome }));
  const { body } = await push({ test: "export", externalId: "1", results: many("passed") });
  const response = await app.ask("GET", `/api/runs/${body.runId}/results?format=ndjson`);
  const reader = response.body!.getReader();
  await reader.read();
  expect((await push({ test: "export", externalId: "1", results: many("failed") })).status).toBe(200);
  const rest = (async () => {
    while (!(await reader.read()).done);
  })();
  await expect(rest).rejects.toThrow();
});
