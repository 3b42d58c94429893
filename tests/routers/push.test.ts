import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, expect, test } from "vitest";
import { pushRun } from "../../db/ingest/pushes.ts";
import type { Context } from "../../routers/context.ts";
import { lookUpNames, Received } from "../../routers/push.ts";
import { pushHead } from "../../schemas/result.ts";
import { type TestApp, testApp } from "../helpers/app.ts";
import { BY } from "../helpers/author.ts";
import { zipOf } from "../helpers/zip.ts";

let app: TestApp;
beforeAll(async () => {
  app = await testApp({ UPLOAD_LIMIT: "3000000" });
});
afterAll(() => app.close());

const TAP = "1..3\nok 1 - a\nnot ok 2 - b\n";
const XML =
  '<testsuite><testcase classname="s" name="x" time="0.5"/><testcase name="y"><error/></testcase></testsuite>';

interface Part {
  name: string;
  content: string | Uint8Array;
}

async function pushForm(fields: Record<string, string>, files: Part[], query = "") {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  for (const { name, content } of files) form.append("file", new Blob([content as BlobPart]), name);
  const response = await app.ask("POST", `/api/results${query}`, { raw: form });
  return { status: response.status, body: await response.json() };
}

async function pushRaw(query: string, raw: BodyInit, headers: Record<string, string> = {}) {
  const response = await app.ask("POST", `/api/results?${query}`, {
    raw,
    headers: { "content-type": "application/octet-stream", ...headers },
  });
  return { status: response.status, body: await response.json() };
}

async function get(path: string) {
  const response = await app.ask("GET", path);
  expect(response.status).toBe(200);
  return await response.json();
}

test("many files of many kinds in a form are one run, and each remark names its file", async () => {
  const { status, body } = await pushForm({ test: "many", changelist: "100", environment: "os=linux" }, [
    { name: "out/r.tap", content: TAP },
    { name: "junit.xml.gz", content: gzipSync(XML) },
    { name: "logs.zip", content: zipOf({ "g.sum": "PASS: g\n", "notes.md": "# no" }) },
    { name: "broken.xml", content: "<testsuite><testcase name='kept?'/>" },
    {
      name: "half.zip",
      content: zipOf({ "h.tap": "1..1\nok 1 - h\n", "h.xml": "<testsuite><testcase name='h?'/>" }),
    },
    { name: "r.ndjson", content: '{"case":"n","outcome":"passed"}\n{"case":""}\n' },
  ]);
  expect(status).toBe(201);
  expect(body).toMatchObject({
    accepted: 7,
    counts: { passed: 5, failed: 1, error: 1 },
    missing: 1,
    samples: 0,
    rejectedCount: 3,
  });
  expect(body.rejected).toEqual([
    { file: "broken.xml", place: "the file", reason: expect.stringContaining("it ends within <testsuite>") },
    {
      file: "half.zip/h.xml",
      place: "the file",
      reason: expect.stringContaining("it ends within <testsuite>"),
    },
    { file: "r.ndjson", place: "line 2", reason: expect.stringContaining("case") },
  ]);
  expect(body.notes).toEqual(expect.arrayContaining([
    { file: "logs.zip/notes.md", place: "the file", text: "it is of an unknown format, and was skipped" },
  ]));
  const { items } = await get(`/api/runs/${body.runId}/results?limit=100`);
  expect(items.map((item: { case: string; outcome: string }) => `${item.case} ${item.outcome}`).sort())
    .toEqual([
      "a passed",
      "b failed",
      "g passed",
      "h passed",
      "n passed",
      "s.x passed",
      "test 3 not_run",
      "y error",
    ]);
  expect((await get(`/api/runs/${body.runId}`)).counts).toEqual({
    passed: 5,
    failed: 1,
    error: 1,
    not_run: 1,
  });
});

test("a single unreadable file, or a form without files, is rejected and stores nothing", async () => {
  const one = await pushForm({ test: "refused", changelist: "1" }, [{
    name: "b.xml",
    content: "<testsuite>",
  }]);
  expect([one.status, one.body.detail]).toEqual([400, expect.stringContaining("JUnit XML")]);
  expect((await pushForm({ test: "refused", changelist: "1" }, [])).body.detail).toBe(
    "The form contains no file.",
  );
  expect((await pushForm({ changelist: "1" }, [{ name: "r.tap", content: TAP }])).body.issues[0].path).toBe(
    "test",
  );
  expect((await pushForm({ test: "refused", colour: "1" }, [{ name: "r.tap", content: TAP }])).body.detail)
    .toContain('Unknown field "colour"');
  expect((await pushForm({ test: "t" }, [{ name: "r.tap", content: TAP }], "?test=t")).body.detail)
    .toBe("The field test is given twice; send it once.");
  const head = { "content-type": "multipart/form-data; boundary=x" };
  expect((await pushRaw("test=refused&changelist=1", "--x\r\nbroken", head)).status).toBe(400);
  expect((await pushRaw("test=refused&changelist=1", "", { "content-type": "multipart/form-data" })).status)
    .toBe(400);
  expect((await pushRaw("test=refused&changelist=1", "")).status).toBe(415);
  expect((await pushRaw("changelist=1", TAP)).status).toBe(400);
  expect((await app.ask("GET", "/api/tests/refused")).status).toBe(404);
});

test("a body over the limit, raw or in a form, is a 413 and stores nothing", async () => {
  const large = `<testsuite>${'<testcase name="a"/>'.repeat(200_000)}</testsuite>`;
  const chunked = () => ReadableStream.from([new TextEncoder().encode(large)]) as unknown as BodyInit;
  expect((await pushRaw("test=large&changelist=1", large)).status).toBe(413);
  expect((await pushRaw("test=large&changelist=1", chunked())).status).toBe(413);
  expect((await pushForm({ test: "large", changelist: "1" }, [{ name: "r.xml", content: large }])).status)
    .toBe(413);
  expect((await app.ask("GET", "/api/tests/large")).status).toBe(404);
});

test("X-File-Name marks a JSON result file, and measured values are stored, listed and counted", async () => {
  const report = {
    format_version: "2",
    machine: { name: "box" },
    run: { start_time: "2024-01-01T00:00:00", end_time: "2024-01-01T00:01:00" },
    tests: [
      { name: "a", execution_time: [1.5, 2.5], hash: "ab" },
      { name: "b", execution_time: 3, execution_status: 1 },
    ],
  };
  const headers = { "content-type": "application/json", "x-file-name": "report.json" };
  const push = (changelist: number) =>
    pushRaw(`test=lnt&changelist=${changelist}&environment=os=linux`, JSON.stringify(report), headers);
  const { status, body } = await push(10);
  expect([status, body]).toEqual([
    201,
    expect.objectContaining({ accepted: 2, counts: { passed: 1, failed: 1 }, samples: 5 }),
  ]);
  await push(20);
  const run = await get(`/api/runs/${body.runId}`);
  expect(run).toMatchObject({
    samples: 5,
    environment: { os: "linux", machine: "box" },
    startedAt: "2024-01-01T00:00:00.000Z",
    durationMs: 60_000,
  });
  const first = await get(`/api/runs/${body.runId}/samples?limit=3`);
  const second = await get(`/api/runs/${body.runId}/samples?limit=3&cursor=${first.nextCursor}`);
  expect(
    [...first.items, ...second.items].map((one) => [one.case, one.metric, one.ordinal, one.value]).sort(),
  )
    .toEqual([
      ["a", "execution_time", 1, 1.5],
      ["a", "execution_time", 2, 2.5],
      ["a", "hash", 1, "ab"],
      ["b", "execution_status", 1, 1],
      ["b", "execution_time", 1, 3],
    ]);
  const history = "/api/samples?test=lnt&case=a&metric=execution_time";
  const page = await get(`${history}&limit=3`);
  const rest = await get(`${history}&limit=3&cursor=${page.nextCursor}`);
  expect([...page.items, ...rest.items].map((one) => [one.changelist, one.ordinal, one.value])).toEqual([
    [20, 1, 1.5],
    [20, 2, 2.5],
    [10, 1, 1.5],
    [10, 2, 2.5],
  ]);
  expect((await get(`${history}&environment=os=other`)).items).toEqual([]);
  expect((await get("/api/samples?test=lnt&case=none&metric=x")).items).toEqual([]);
});

test("a run exported as NDJSON or JUnit XML and pushed again gives the same rows", async () => {
  const results = [
    { case: "plain", outcome: "passed", durationMs: 12.5 },
    { case: "a.b.c", outcome: "failed", message: 'line 1\n\tline <2> & "3"' },
    { case: " spaces ", outcome: "xfailed", word: "KFAIL", message: "why" },
    { case: "twice", outcome: "passed" },
    { case: "twice", outcome: "timeout", message: " edge\r\n" },
    { case: "end.", outcome: "skipped" },
    { case: "é\u{1F600}", outcome: "lab_error", durationMs: 0.125 },
    {
      case: "measured",
      outcome: "passed",
      samples: [{ metric: "t", value: 1.5, unit: "ns" }, { metric: "h", value: "x" }],
    },
    { case: "silent", outcome: "failed", message: "" },
  ];
  const sent = await app.ask("POST", "/api/results", {
    body: { test: "export", changelist: 5, externalId: "1", results },
  });
  const { runId } = await sent.json();
  const rows = async (id: number) => [
    (await get(`/api/runs/${id}/results`)).items.map(({ runId: _, ...row }: { runId: number }) => row),
    (await get(`/api/runs/${id}/samples`)).items.map(({ runId: _, ...row }: { runId: number }) => row),
  ];
  for (const format of ["ndjson", "junit"]) {
    const file = await app.ask("GET", `/api/runs/${runId}/results?format=${format}`);
    const text = await file.text();
    expect(file.headers.get("content-disposition")).toContain(`run-${runId}.`);
    const again = await pushRaw(`test=export&changelist=5&externalId=${format}`, text);
    expect([again.status, again.body.accepted, again.body.samples]).toEqual([201, results.length, 2]);
    expect(await rows(again.body.runId)).toEqual(await rows(runId));
  }
  const xml = await (await app.ask("GET", `/api/runs/${runId}/results?format=junit`)).text();
  expect(xml).toContain('<testcase classname="a.b" name="c"><failure>line 1');
  expect((await app.ask("GET", `/api/runs/${runId}/results?format=pdf`)).status).toBe(400);
  expect((await app.ask("GET", "/api/runs/999999/results?format=ndjson")).status).toBe(404);
});

test("7,500 known cases take at most 12 statements", async () => {
  const lines = (from: number) =>
    Array.from(
      { length: 7500 },
      (_, at) => JSON.stringify({ case: `case ${at}`, outcome: "passed", durationMs: from + at }),
    )
      .join("\n");
  expect((await pushRaw("test=trips&changelist=1&externalId=1", lines(0))).status).toBe(201);
  const statements: string[] = [];
  // The queue runs maintenance on the same pool every few seconds.
  app.sql.options.debug = (_connection: number, query: string) => {
    if (!/\bqueue\./.test(query)) statements.push(query);
  };
  const { status } = await pushRaw("test=trips&changelist=2&externalId=2", lines(1));
  app.sql.options.debug = undefined as never;
  expect([status, statements.length], statements.map((one) => one.slice(0, 60)).join("\n")).toEqual([
    201,
    expect.toSatisfy((count: number) => count > 3 && count <= 12),
  ]);
});

test.each([
  ["r.xml", "<testsuite><testcase name='a'/>"],
  ["r.tap", "1..1\nok 1\n"],
  ["r.xml.gz", "\x1f\x8b\x08\x00"],
  ["r.tar", `${"x".repeat(257)}ustar\0`],
  ["r.zip", "PK\x03\x04abc"],
])(
  "a form that is cut within %s is a 400 and stores nothing, whatever came before it",
  async (name, content) => {
    const head = (file: string) =>
      `--x\r\ncontent-disposition: form-data; name="f"; filename="${file}"\r\n\r\n`;
    const form = `${head("whole.tap")}1..1\nok 1\n\r\n${head(name)}${content}`;
    const { status, body } = await pushRaw(
      "test=cut&changelist=1",
      Uint8Array.from(form, (char) => char.charCodeAt(0)),
      { "content-type": "multipart/form-data; boundary=x" },
    );
    expect([status, body.detail]).toEqual([400, expect.stringContaining("The form cannot be read")]);
    expect((await app.ask("GET", "/api/tests/cut")).status).toBe(404);
  },
);

test("cases deleted with their test are stored again, even if their ids were looked up before", async () => {
  const body =
    '{"case":"a","outcome":"passed","samples":[{"metric":"m","value":1}]}\n{"case":"b","outcome":"failed"}';
  const push = (id: number) => pushRaw(`test=brief&changelist=1&externalId=${id}`, body);
  await push(1);
  await push(2);
  const [before] = await app.sql`select count(*)::int as samples from samples`;
  // Looked up before the deletion, pushed after it.
  const early = new Received(app.config.spoolDir);
  await lookUpNames({ sql: app.sql } as Context, early, "brief");
  for (const name of ["a", "b", "new"]) early.add({ case: name, outcome: "passed" });
  await early.spool.settle();
  expect(early.spool.caseIds.unknown).toBe(1);
  expect((await app.ask("DELETE", "/api/tests/brief?results=true")).status).toBe(200);
  const [after] = await app.sql`select count(*)::int as samples from samples`;
  expect(before!.samples - after!.samples).toBe(2);
  const head = pushHead.parse({ test: "brief", changelist: 1, externalId: "3" });
  const { id } = await pushRun(app.sql, head, early.spool, { by: BY, idempotencyKey: undefined });
  const cases = async (runId: number) =>
    (await get(`/api/runs/${runId}/results`)).items.map((item: { case: string }) => item.case).sort();
  expect(await cases(id)).toEqual(["a", "b", "new"]);
  expect(await cases((await push(4)).body.runId)).toEqual(["a", "b"]);
});

test("a form's case names are looked up while its files are read, once its test is known", async () => {
  await pushForm({ test: "ahead", changelist: "1" }, [{ name: "r.tap", content: TAP }]);
  await pushForm({ test: "ahead", changelist: "2" }, [{ name: "r.tap", content: TAP }]);
  const statements: string[] = [];
  app.sql.options.debug = (_connection: number, query: string) => statements.push(query);
  const { status } = await pushForm({ test: "ahead", changelist: "3" }, [{ name: "r.tap", content: TAP }]);
  app.sql.options.debug = undefined as never;
  expect([status, statements.filter((one) => one.includes("string_agg"))]).toEqual([201, []]);
});
