import { afterAll, beforeAll, expect, test } from "vitest";
import { type TestApp, testApp } from "../../helpers/app.ts";

let app: TestApp;
beforeAll(async () => {
  app = await testApp();
});
afterAll(() => app.close());

const TAP = "1..1\nok 1 - a\n";
const LONG = "words and more of them\n".repeat(20_000);

async function pushForm(files: [name: string, content: string][]) {
  const form = new FormData();
  form.append("test", "forms");
  form.append("changelist", "1");
  for (const [name, content] of files) form.append("file", new Blob([content]), name);
  const response = await app.ask("POST", "/api/results", { raw: form });
  return { status: response.status, body: await response.json() };
}

// Regression: the unread rest of each of these files blocked the form forever.
test.each([
  ["of no known format", "notes.md", LONG, 415, "unknown format"],
  ["broken at its beginning", "a.xml", `<testsuite><testcase></a>${LONG}`, 400, "line 1"],
  ["broken in its middle", "a.xml", `<testsuite>${LONG}<testcase></a>${LONG}`, 400, "line 20001"],
  [
    "of an unknown version",
    "a.json",
    `{"format_version": "9", "machine": {}, "run": {}, "x": "${LONG.replaceAll("\n", " ")}"}`,
    400,
    "version",
  ],
  ["packed by another program", "a.tar.xz", `\xfd7zXZ\0${LONG}`, 415, ""],
])(
  "a long file %s is reported, alone and next to valid files",
  async (_what, name, content, status, reason) => {
    const alone = await pushForm([[name, content]]);
    expect([alone.status, alone.body.detail]).toEqual([status, expect.stringContaining(reason)]);
    const beside = await pushForm([["a.tap", TAP], [name, content], ["b.tap", TAP]]);
    expect([beside.status, beside.body]).toMatchObject([beside.status < 300 ? beside.status : 201, {
      accepted: 2,
      rejected: [{ file: name, place: "the file" }],
    }]);
  },
);

test("a run's url must be http, https or file, and a wrong changelist gets an error that lists valid forms", async () => {
  const push = (more: Record<string, unknown>) =>
    app.ask("POST", "/api/results", {
      body: { test: "linked", changelist: 1, results: [{ case: "a", outcome: "passed" }], ...more },
    });
  const script = await push({ url: "javascript:alert(1)" });
  expect([script.status, (await script.json()).detail]).toEqual([
    400,
    expect.stringContaining("http, https"),
  ]);
  expect((await push({ url: "https://ci.example/1" })).status).toBe(201);
  for (const changelist of ["abc", "label:"]) {
    const refused = await push({ changelist });
    expect([refused.status, (await refused.json()).detail]).toEqual([
      400,
      expect.stringContaining("must be a positive integer, or label:"),
    ]);
  }
});

test("a route without required input accepts a request without a body", async () => {
  for (const raw of [undefined, new Uint8Array(0)]) {
    const response = await app.ask("POST", "/api/dvs/scans", raw === undefined ? {} : { raw });
    expect(response.status, await response.clone().text()).toBeLessThan(300);
  }
});

test("a push in a wrong order or shape gets an error with advice", async () => {
  const form = new FormData();
  form.append("file", new Blob([TAP]), "a.tap");
  form.append("test", "forms");
  const late = await app.ask("POST", "/api/results", { raw: form });
  expect([late.status, (await late.json()).detail]).toEqual([
    400,
    expect.stringContaining("fields must come before files"),
  ]);
  const json = await app.ask("POST", "/api/results?test=forms&changelist=1", {
    body: { __version__: [1], tests: [] },
  });
  expect((await json.json()).detail).toContain("X-File-Name");
  const large = await app.ask("POST", "/api/tests", { body: { name: "x".repeat(2_000_000) } });
  expect([large.status, (await large.json()).detail]).toEqual([413, expect.stringContaining("JSON_LIMIT")]);
});
