import { afterAll, beforeAll, expect, test } from "vitest";
import { allRoutes } from "../../app.ts";
import { readListsTask } from "../../cron/tasks/read_lists.ts";
import { CHANGELIST_FIELDS } from "../../routers/labels.ts";
import { changelist, changelistInput } from "../../schemas/common.ts";
import { type TestApp, testApp } from "../helpers/app.ts";

let app: TestApp;
let lists: string;
beforeAll(async () => {
  lists = await Deno.makeTempDir({ prefix: "chub-lists-" });
  app = await testApp({ SCRAPE_ROOTS: lists });
});
afterAll(async () => {
  await app.close();
  await Deno.remove(lists, { recursive: true });
});

const hash = (number: number) => number.toString(16).padStart(6, "0").padEnd(40, "e");

async function ask(method: string, path: string, body?: unknown) {
  const response = await app.ask(method, path, body === undefined ? {} : { body });
  return { status: response.status, body: await response.json() };
}

async function sendList(axis: string, text: string, query = "") {
  const response = await app.ask("POST", `/api/axes/${axis}/changelists${query}`, {
    raw: text,
    headers: { "content-type": "text/plain" },
  });
  return { status: response.status, body: await response.json() };
}

const push = (changelist: string | number, more: Record<string, unknown> = {}) =>
  ask("POST", "/api/results", {
    test: "labelled",
    changelist,
    results: [{ case: "a", outcome: changelist === `label:${hash(3)}` ? "failed" : "passed" }],
    ...more,
  });

test("every changelist of an input may be a label, and no other field is replaced", () => {
  const { routes, extra } = allRoutes();
  let fields = 0;
  for (const { method, path, input } of [...routes, ...extra]) {
    for (const [name, given] of Object.entries(input?.shape ?? {})) {
      // deno-lint-ignore no-explicit-any
      let schema: any = given;
      while (schema.def?.innerType !== undefined || schema.def?.element !== undefined) {
        schema = schema.def.innerType ?? schema.def.element;
      }
      if (schema === changelistInput) {
        fields++;
        expect(CHANGELIST_FIELDS as readonly string[], `${method} ${path} ${name}`).toContain(name);
      }
      if (schema === changelist) expect(`${method} ${path} ${name}`).toMatch(/\/changelists first$/);
    }
  }
  expect(fields).toBeGreaterThan(20);
});

test("a list numbers labels; then a label or a prefix is accepted wherever a changelist is", async () => {
  const first = await push(`label:${hash(1)}`, { axis: "git" });
  expect(first.status).toBe(404);
  expect(first.body.detail).toMatch(
    /accepts no labels; configure their numbering with PATCH \/api\/axes\/git/,
  );
  expect((await ask("PATCH", "/api/axes/git", { labels: "list" })).body).toMatchObject({
    axis: "git",
    labels: "list",
    newest: null,
  });
  expect((await push(`label:${hash(1)}`, { axis: "git" })).body.detail).toMatch(/not in the list/);
  const text = [1, 2, 3, 4].map(hash).join("\n");
  expect(await sendList("git", text)).toEqual({ status: 200, body: { added: 4, present: 0 } });
  expect((await sendList("git", `${text}\n${hash(5)}\n`)).body).toEqual({ added: 1, present: 4 });
  for (const number of [1, 2, 3, 4]) {
    expect((await push(`label:${hash(number)}`, { axis: "git" })).status).toBe(201);
  }
  // The number and the label belong to the same run.
  expect((await push(2, { axis: "git" })).status).toBe(200);
  expect((await push("label:000002", { axis: "git" })).status).toBe(200);

  const runs = await ask("GET", "/api/runs?test=labelled&axis=git&from=label:000002&to=label:000003");
  expect(runs.body.items.map((run: { changelist: number; label: string }) => [run.changelist, run.label]))
    .toEqual([[3, hash(3)], [2, hash(2)]]);
  const compared = await ask(
    "GET",
    `/api/results/compare?test=labelled&axis=git&base=label:${hash(2)}&head=label:${hash(3)}`,
  );
  expect(compared.body.counts).toMatchObject({ newlyFailing: 1 });
  const culprit = await ask("GET", "/api/results/culprit?test=labelled&axis=git&to=label:000003");
  expect(culprit.body.items).toMatchObject([{ lastGood: 2, firstBad: 3 }]);
  const csv = await app.ask("GET", "/api/results?test=labelled&axis=git&from=label:000004&format=csv");
  expect((await csv.text()).trim().split("\r\n")).toHaveLength(2);
  const listed = await ask("GET", "/api/axes/git/changelists?from=label:000002&limit=2");
  expect(listed.body.items).toEqual([{ number: 5, label: hash(5) }, { number: 4, label: hash(4) }]);
  const more = await ask("GET", `/api/axes/git/changelists?from=2&limit=2&cursor=${listed.body.nextCursor}`);
  expect(more.body).toEqual({
    items: [{ number: 3, label: hash(3) }, { number: 2, label: hash(2) }],
    nextCursor: null,
  });
});

test("a label of no changelist, or of several, is an error", async () => {
  const missing = await ask("GET", "/api/runs?axis=git&changelist=label:ffff");
  expect([missing.status, missing.body.detail]).toEqual([
    404,
    'No changelist of the axis "git" has the label "ffff".',
  ]);
  const several = await ask("GET", "/api/runs?axis=git&changelist=label:0000");
  expect(several.status).toBe(400);
  expect(several.body.detail).toMatch(/is a prefix of several labels .*: 000001e.*, 000002e/);
  expect((await ask("GET", "/api/runs?axis=git&changelist=label:000")).status).toBe(404);
  expect((await ask("GET", "/api/runs?axis=git&changelist=label:")).status).toBe(400);
  expect((await ask("GET", "/api/runs?changelist=label:000001")).body.detail).toMatch(/axis "main"/);
  expect((await ask("GET", "/api/dvs/packages/p/changelists/label:nope1")).status).toBe(404);
});

test("a list that changes the number of a label, or the label of a number, is rejected as a whole", async () => {
  const rewritten = await sendList("git", [hash(1), hash(9), hash(8)].join("\n"));
  expect([rewritten.status, rewritten.body.code]).toEqual([409, "CONFLICT"]);
  expect(rewritten.body.detail).toMatch(
    /cannot assign the label 000009e+ to 2: 2 already has the label 000002e+/,
  );
  const moved = await sendList("git", `100 ${hash(77)}\n101 ${hash(3)}`);
  expect(moved.body.detail).toMatch(/000003e+ already is 3/);
  const twice = await sendList("git", `200 ${hash(77)}\n201 ${hash(77)}`);
  expect(twice.status).toBe(409);
  const odd = await sendList("git", `ok\n0 zero\n`);
  expect([odd.status, odd.body.detail]).toEqual([
    400,
    'Line 2 of the list must be a label, or a number and a label; got "0 zero".',
  ]);
  expect((await sendList("git", "a b c")).status).toBe(400);
  expect((await ask("GET", "/api/axes/git/changelists")).body.items).toHaveLength(5);
  expect((await sendList("git", hash(6), "?first=6")).body).toEqual({ added: 1, present: 0 });
  const json = await ask("POST", "/api/axes/git/changelists", {
    changelists: [{ number: 9, label: "v1.0" }],
  });
  expect(json.body).toEqual({ added: 1, present: 0 });
});

test("with `time` labels, a new label gets its commit's second, or the next free one", async () => {
  await ask("PATCH", "/api/axes/timed", { labels: "time" });
  const at = "2026-03-02T10:00:00Z";
  const seconds = Date.parse(at) / 1000;
  expect((await push("label:aaaa", { axis: "timed" })).body.detail).toMatch(
    /the time of its commit is unknown/,
  );
  for (const label of ["aaaa", "bbbb", "aaaa"]) {
    await push(`label:${label}`, { axis: "timed", committedAt: at });
  }
  await Promise.all(
    ["c1", "c2", "c3", "c4"].map((label) =>
      push(`label:${label}`, { axis: "timed", committedAt: "2026-03-02T12:00:00+02:00" })
    ),
  );
  const { items } = (await ask("GET", "/api/axes/timed/changelists")).body;
  expect(items.map((item: { number: number }) => item.number - seconds)).toEqual([5, 4, 3, 2, 1, 0]);
  expect(items.slice(4)).toEqual([{ number: seconds + 1, label: "bbbb" }, {
    number: seconds,
    label: "aaaa",
  }]);
  expect((await push("label:aaaa", { axis: "timed" })).status).toBe(200);
  const files = await app.ask(
    "POST",
    "/api/results?test=labelled&axis=timed&changelist=label:file1&committedAt=2026-03-03T00:00:00Z",
    { raw: "ok 1 - a\n1..1\n", headers: { "x-file-name": "a.tap" } },
  );
  expect(files.status).toBe(201);
});

test("a list is read from the axis's URL, only if changed, and failures are reported", async () => {
  const outside = await ask("PATCH", "/api/axes/read", { labels: "list", listUrl: "file:///etc/passwd" });
  expect(outside.body.detail).toMatch(/SCRAPE_ROOTS/);
  expect((await ask("PATCH", "/api/axes/read", { labels: "time", listUrl: `file://${lists}` })).status).toBe(
    400,
  );
  await Deno.writeTextFile(`${lists}/main.txt`, `# oldest first\n${hash(1)}\n\n${hash(2)}\n`);
  const made = await ask("PATCH", "/api/axes/read", { labels: "list", listUrl: `file://${lists}/main.txt` });
  expect(made.status).toBe(200);
  const logged: unknown[] = [];
  const deps = {
    sql: app.sql,
    config: app.config,
    log: (...value: unknown[]) => void logged.push(value),
  };
  const read = () => readListsTask(deps, new AbortController().signal);
  await read();
  await read();
  expect(logged).toEqual([["read a list of changelists", { axis: "read", added: 2 }]]);
  await Deno.writeTextFile(`${lists}/main.txt`, `${hash(1)}\n${hash(3)}\n`);
  await read();
  const axis = (await ask("GET", "/api/axes")).body.items.find((one: { axis: string }) =>
    one.axis === "read"
  );
  expect(axis).toMatchObject({ newest: { number: 2, label: hash(2) }, labels: "list" });
  expect(axis.listError).toMatch(/cannot assign the label .* to 2/);
  await Deno.remove(`${lists}/main.txt`);
  await read();
  const open = await (await app.ask("GET", "/api/axes", { signedOut: true })).json();
  expect(open.items.find((one: { axis: string }) => one.axis === "read")).toMatchObject({
    listUrl: null,
    listError: null,
  });
});
