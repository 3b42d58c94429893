import { afterAll, beforeAll, expect, test } from "vitest";
import { type TestApp, testApp } from "../helpers/app.ts";

let app: TestApp;
beforeAll(async () => {
  app = await testApp();
});
afterAll(() => app.close());

async function ask(method: string, path: string, body?: unknown) {
  const response = await app.ask(method, path, body === undefined ? {} : { body });
  return { status: response.status, body: await response.json() };
}

type Results = Record<string, string | [string, number]>;

function push(externalId: string | undefined, results: Results, more: Record<string, unknown> = {}) {
  return ask("POST", "/api/results", {
    test: "pieces",
    changelist: 7,
    ...(externalId === undefined ? {} : { externalId }),
    mode: "merge",
    results: Object.entries(results).map(([name, result]) => {
      const [outcome, value] = Array.isArray(result) ? result : [result];
      const samples = value === undefined ? {} : { samples: [{ metric: "m", value }] };
      return { case: name.replace(/#.*/, ""), outcome, ...samples };
    }),
    ...more,
  });
}

async function resultsOf(runId: number) {
  const { items } = (await ask("GET", `/api/runs/${runId}/results?limit=1000`)).body;
  return items.map((one: { case: string; ordinal: number; outcome: string }) =>
    `${one.case}${one.ordinal > 1 ? `#${one.ordinal}` : ""} ${one.outcome}`
  ).sort();
}

const runOf = async (id: number) => (await ask("GET", `/api/runs/${id}`)).body;

test("merged parts are one run: a part replaces the results of its cases and keeps all others", async () => {
  const first = await push("b1", { a: "passed", b: ["failed", 1], "b#2": ["failed", 2] });
  expect(first.status).toBe(201);
  const { runId } = first.body;
  const second = await push("b1", { b: ["passed", 3], c: "skipped" }, { finishedAt: "2026-03-02T10:00:00Z" });
  expect([second.status, second.body.runId, second.body.counts]).toEqual([200, runId, {
    passed: 1,
    skipped: 1,
  }]);
  expect(await resultsOf(runId)).toEqual(["a passed", "b passed", "c skipped"]);
  expect(await runOf(runId)).toMatchObject({
    counts: { passed: 2, skipped: 1 },
    samples: 1,
    version: 2,
    finishedAt: "2026-03-02T10:00:00.000Z",
  });
  const samples = await ask("GET", `/api/runs/${runId}/samples`);
  expect(samples.body.items.map((one: { value: number }) => one.value)).toEqual([3]);
  // A case that a part contains twice has two results.
  await push("b1", { d: "passed", "d#2": "failed" });
  expect(await resultsOf(runId)).toEqual(["a passed", "b passed", "c skipped", "d passed", "d#2 failed"]);
});

test("a repeated part changes nothing, even after a replace, and a late new part is merged", async () => {
  const { runId } = (await push("b2", { a: "failed", b: "failed" })).body;
  const late = { b: "passed", c: "passed" };
  await push("b2", { c: "failed" });
  const before = await runOf(runId);
  expect((await push("b2", { c: "failed" })).status).toBe(200);
  expect(await runOf(runId)).toEqual(before);
  await push("b2", { a: "passed", b: "failed" }, { mode: "replace" });
  expect(await resultsOf(runId)).toEqual(["a passed", "b failed"]);
  await push("b2", { a: "failed", b: "failed" });
  expect(await resultsOf(runId)).toEqual(["a passed", "b failed"]);
  await push("b2", late);
  expect(await resultsOf(runId)).toEqual(["a passed", "b passed", "c passed"]);
  // A replace by what was replaced with before is another content than the merged one.
  await push("b2", { a: "passed", b: "failed" }, { mode: "replace" });
  expect(await resultsOf(runId)).toEqual(["a passed", "b failed"]);
});

test("a part of another run is rejected with the difference", async () => {
  await push("b3", { a: "passed" }, { package: "p", environment: { os: "linux", cpu: "x" } });
  const refused = async (more: Record<string, unknown>) => {
    const { status, body } = await push("b3", { b: "passed" }, {
      package: "p",
      environment: { cpu: "x", os: "linux" },
      ...more,
    });
    return status === 409 ? /its (\w+) is/.exec(body.detail)![1] : status;
  };
  expect(await refused({})).toBe(200);
  expect(await refused({ changelist: 8 })).toBe("changelist");
  expect(await refused({ axis: "other" })).toBe("axis");
  expect(await refused({ package: "q" })).toBe("package");
  expect(await refused({ environment: { os: "linux" } })).toBe("environment");
  const unnamed = await push(undefined, { a: "passed" });
  expect([unnamed.status, unnamed.body.detail]).toEqual([
    400,
    "Mode merge requires an externalId, which identifies the run that the piece belongs to.",
  ]);
});

test("concurrent parts lose nothing, even the first of a run, and exactly one of them creates the run", async () => {
  const pieces = Array.from(
    { length: 12 },
    (_none, at) => push("b4", { [`own ${at}`]: "passed", shared: "failed" }),
  );
  const answers = await Promise.all(pieces);
  expect(answers.filter((answer) => answer.status === 201)).toHaveLength(1);
  const [{ body: { runId } }] = answers as unknown as [{ body: { runId: number } }];
  expect(await resultsOf(runId)).toHaveLength(13);
  expect((await runOf(runId)).counts).toEqual({ passed: 12, failed: 1 });
});

test("a part is merged into the run's newest attempt", async () => {
  await push("b5", { a: "failed" }, { mode: "replace" });
  const response = await app.ask("POST", "/api/results", {
    body: {
      test: "pieces",
      changelist: 7,
      externalId: "b5",
      mode: "append",
      results: [{ case: "a", outcome: "passed" }],
    },
    headers: { "idempotency-key": "once-more" },
  });
  const { runId } = await response.json();
  expect((await push("b5", { b: "passed" })).body.runId).toBe(runId);
  expect(await resultsOf(runId)).toEqual(["a passed", "b passed"]);
});
