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

async function push(test: string, changelist: number, results: Record<string, string>) {
  const { status, body } = await ask("POST", "/api/results", {
    test,
    changelist,
    externalId: `b${changelist}`,
    results: Object.entries(results).map(([name, outcome]) => ({
      case: name,
      outcome,
      samples: [{ metric: "size", value: changelist }],
    })),
  });
  expect([200, 201], JSON.stringify(body)).toContain(status);
  return body.runId as number;
}

async function history(test: string, name: string) {
  const { body } = await ask("GET", `/api/results?test=${test}&case=${encodeURIComponent(name)}`);
  return body.items.map((one: { changelist: number; case: string }) => `${one.changelist} ${one.case}`);
}

const rename = (test: string, from: string, to: string) =>
  ask("POST", `/api/tests/${test}/aliases`, { from, to });

test("a renamed case keeps its history, includes earlier results under the new name, and has its old name as alias", async () => {
  await push("r", 1, { "old": "passed", other: "passed" });
  await push("r", 2, { "old": "failed", other: "passed" });
  await push("r", 3, { "new": "failed", other: "passed" });
  expect((await rename("r", "old", "new")).body).toEqual({ resultsMoved: 1 });
  const all = ["3 new", "2 new", "1 new"];
  expect(await history("r", "new")).toEqual(all);
  expect(await history("r", "old")).toEqual(all);
  const samples = await ask("GET", "/api/samples?test=r&case=old&metric=size");
  expect(samples.body.items.map((one: { value: number }) => one.value)).toEqual([3, 2, 1]);
  const culprit = await ask("GET", "/api/results/culprit?test=r&case=old");
  expect(culprit.body.items).toMatchObject([{ case: "new", lastGood: 1, firstBad: 2, fixedAt: null }]);
  // Senders that do not know of the rename still use the old name.
  await push("r", 4, { "old": "passed", other: "passed" });
  expect(await history("r", "new")).toEqual(["4 new", ...all]);
  expect((await ask("GET", "/api/tests/r/aliases")).body.items).toEqual([{ oldName: "old", case: "new" }]);
});

test("names can change again and back, and an alias can be deleted", async () => {
  await push("s", 1, { one: "passed" });
  expect((await rename("s", "one", "two")).body).toEqual({ resultsMoved: 0 });
  await rename("s", "two", "three");
  expect((await ask("GET", "/api/tests/s/aliases")).body.items).toEqual([
    { oldName: "one", case: "three" },
    { oldName: "two", case: "three" },
  ]);
  await rename("s", "three", "one");
  expect(await history("s", "three")).toEqual(["1 one"]);
  expect((await ask("DELETE", "/api/tests/s/aliases?case=two")).status).toBe(200);
  await push("s", 2, { one: "passed", two: "failed" });
  expect(await history("s", "one")).toEqual(["2 one", "1 one"]);
  expect(await history("s", "two")).toEqual(["2 two"]);
  expect((await ask("DELETE", "/api/tests/s/aliases?case=two")).status).toBe(404);
});

test("an invalid or conflicting rename is rejected and changes nothing", async () => {
  await push("t", 1, { a: "passed", b: "passed", c: "passed" });
  const both = await rename("t", "a", "b");
  expect([both.status, both.body.detail]).toEqual([
    409,
    expect.stringMatching(/different cases: run \d+ has both/),
  ]);
  await rename("t", "a", "x");
  expect((await rename("t", "a", "y")).body.detail).toBe('"a" already is an old name of "x".');
  expect((await rename("t", "c", "a")).body.detail).toBe('"a" is an old name of "x".');
  expect((await rename("t", "nothing", "z")).status).toBe(404);
  expect((await rename("t", "b", "b")).status).toBe(400);
  expect(await history("t", "b")).toEqual(["1 b"]);
});

test("a rename during pushes moves every result", async () => {
  await push("u", 1, { was: "passed" });
  const pushes = Array.from(
    { length: 20 },
    (_none, at) => push("u", at + 2, { was: "passed", [`x${at}`]: "passed" }),
  );
  await Promise.all([...pushes.slice(0, 10), rename("u", "was", "is"), ...pushes.slice(10)]);
  expect(await history("u", "is")).toHaveLength(21);
  const [left] = await app.sql`
    select count(*)::int as n from results join cases on cases.id = results.case_id where cases.alias_of is not null`;
  expect(left!.n).toBe(0);
});
