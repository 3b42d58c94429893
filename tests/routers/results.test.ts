import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { cell } from "../../routers/rest/results_csv.ts";
import { type TestApp, testApp } from "../helpers/app.ts";
import { readBack } from "../helpers/formats.ts";

let app: TestApp;
beforeAll(async () => {
  app = await testApp({ JSON_LIMIT: "4096", UPLOAD_LIMIT: "100000" });
});
afterAll(() => app.close());

// deno-lint-ignore no-explicit-any -- responses are untyped
async function json(response: Response | Promise<Response>): Promise<any> {
  return await (await response).json();
}

describe("pushes and queries", () => {
  const results = [{ case: "a", outcome: "passed" }, { case: "b", outcome: "failed", message: "no" }, {
    case: "a",
    outcome: "passed",
  }];
  const push = (body: Record<string, unknown>, headers = {}) =>
    app.ask("POST", "/api/results", {
      body: { test: "nightly", changelist: 10, externalId: "r1", results, ...body },
      headers,
    });

  test("a push is a 201, its repeat a 200 that changes nothing, and invalid records are reported by place", async () => {
    const first = await push({});
    expect(first.status).toBe(201);
    const answer = await json(first);
    expect(answer).toMatchObject({ accepted: 3, counts: { passed: 2, failed: 1 }, rejected: [] });
    const again = await push({});
    expect(again.status).toBe(200);
    expect(await json(again)).toEqual(answer);
    const [count] = await app.sql`select count(*)::int as n from results`;
    expect(count!.n).toBe(3);
    const partly = await json(
      push({
        externalId: "r2",
        results: [...results, { case: "", outcome: "passed" }, { case: "c", outcome: "great" }],
      }),
    );
    expect(partly.rejected.map((one: { place: string }) => one.place)).toEqual(["results.3", "results.4"]);
    expect(partly.accepted).toBe(3);
  });

  test("a push of only invalid records is a 400, and a push without results is an empty run", async () => {
    const bad = await push({ externalId: "r3", results: [{ case: "x" }] });
    expect(bad.status).toBe(400);
    expect((await app.sql`select id from runs where external_id = 'r3'`).length).toBe(0);
    expect(await json(push({ externalId: "r4", results: [] }))).toMatchObject({ accepted: 0, counts: {} });
  });

  test("modes: reject, append with and without an Idempotency-Key", async () => {
    expect((await push({ mode: "reject" })).status).toBe(409);
    expect((await push({ mode: "append" })).status).toBe(400);
    const first = await json(push({ mode: "append" }, { "idempotency-key": "k" }));
    expect(await json(push({ mode: "append" }, { "idempotency-key": "k" }))).toEqual(first);
    expect((await push({ mode: "append", results: [] }, { "idempotency-key": "k" })).status).toBe(409);
    const attempts = await app.sql`select attempt from runs where external_id = 'r1' order by attempt`;
    expect(attempts.map((row) => row.attempt)).toEqual([1, 2]);
  });

  test("a body of type NDJSON is read as such, wherever its records have the case", async () => {
    const late = await app.ask("POST", "/api/results?test=late&changelist=1", {
      raw: JSON.stringify({ message: "m".repeat(5000), case: "a", outcome: "failed" }),
      headers: { "content-type": "application/x-ndjson" },
    });
    expect([late.status, (await json(late)).counts]).toEqual([201, { failed: 1 }]);
  });

  test("a JUnit file can be pushed raw or in a form, and other files are a 415", async () => {
    const xml =
      `<testsuite name="s"><testcase classname="c" name="ok" time="0.5"/><testcase classname="c" name="no"><failure message="m"/></testcase></testsuite>`;
    const raw = await app.ask("POST", "/api/results?test=files&changelist=7&externalId=f1", {
      raw: xml,
      headers: { "content-type": "application/xml", "x-file-name": "r.xml" },
    });
    expect(raw.status).toBe(201);
    expect(await json(raw)).toMatchObject({ counts: { passed: 1, failed: 1 } });
    const form = new FormData();
    form.set("file", new File([xml], "r.xml"));
    const formed = await app.ask(
      "POST",
      "/api/results?test=files&changelist=7&externalId=f1&environment=os=linux",
      { raw: form },
    );
    expect(formed.status).toBe(200);
    const refused = await app.ask("POST", "/api/results?test=files&changelist=7", {
      raw: "hello",
      headers: { "content-type": "text/plain", "x-file-name": "r.log" },
    });
    expect(refused.status).toBe(415);
    const large = await app.ask("POST", "/api/results?test=files&changelist=7", {
      raw: xml + " ".repeat(100_001),
      headers: { "content-type": "application/xml" },
    });
    expect(large.status).toBe(413);
    const cut = await app.ask("POST", "/api/results?test=files&changelist=8", {
      raw: xml.slice(0, 80),
      headers: { "content-type": "application/xml" },
    });
    expect(cut.status).toBe(400);
    const out = await app.ask("POST", "/api/results?test=files&changelist=8", {
      raw: xml,
      signedOut: true,
      headers: { "content-type": "application/xml" },
    });
    expect(out.status).toBe(401);
  });

  test("culprit, compare, summary, runs and CSV return pushed results", async () => {
    const at = (changelist: number, outcome: string, extra: Record<string, unknown> = {}) =>
      app.ask("POST", "/api/results", {
        body: {
          test: "answers",
          changelist,
          package: "p",
          externalId: `${changelist}`,
          environment: { os: "linux", machine: `m${changelist % 2}` },
          results: [{ case: "=1+1", outcome }, { case: "steady", outcome: "passed" }],
          ...extra,
        },
      });
    for (
      const [changelist, outcome] of [[100, "passed"], [105, "passed"], [110, "failed"], [115, "failed"], [
        120,
        "passed",
      ]] as const
    ) await at(changelist, outcome);
    await at(107, "lab_error");
    const culprit = await json(app.ask("GET", "/api/results/culprit?test=answers"));
    expect(culprit.items).toEqual([{
      case: "=1+1",
      environment: { os: "linux" },
      lastGood: 105,
      firstBad: 110,
      fixedAt: 120,
      between: 1,
      available: [],
    }]);
    const { sql } = app;
    const [drop] =
      await sql`insert into roots (url, name) values ('file:///between', 'between') returning id`;
    const [other] = await sql`
      insert into roots (url, name, configured) values ('file:///removed', 'removed', false) returning id`;
    const [pack] = await sql`select id from packages where name = 'p'`;
    await sql`
      insert into builds (root_id, package_id, changelist, file, first_seen, last_seen, gone_at)
      select root, ${pack!.id}, number, 'f', now(), gone_at, gone_at
      from (values (${drop!.id}::int, 104, null::timestamptz), (${drop!.id}, 106, null), (${
      drop!.id
    }, 107, null),
        (${drop!.id}, 108, now()), (${other!.id}, 106, null), (${other!.id}, 109, null), (${
      drop!.id
    }, 110, null))
        as given (root, number, gone_at)`;
    // 107 has a run, 108 is gone, 109 was in a root that is no longer configured.
    expect((await json(app.ask("GET", "/api/results/culprit?test=answers"))).items).toMatchObject([
      { lastGood: 105, firstBad: 110, between: 4, available: [106, 107] },
    ]);
    const compare = await json(app.ask("GET", "/api/results/compare?test=answers&base=105&head=110"));
    expect(compare.counts).toMatchObject({ newlyFailing: 1, fixed: 0 });
    expect((await json(app.ask("GET", "/api/results/summary?test=answers&limit=1"))).items).toEqual([{
      changelist: 120,
      runs: 1,
      labErrors: 0,
      counts: { passed: 2 },
    }]);
    const runs = await json(
      app.ask("GET", "/api/runs?test=answers&environment=machine%3Dm1&from=105&to=110"),
    );
    expect(runs.items.map((run: { changelist: number }) => run.changelist)).toEqual([107, 105]);
    const csv = await (await app.ask("GET", "/api/results?test=answers&outcome=failed&format=csv")).text();
    expect(csv.trim().split("\r\n")).toHaveLength(3);
    expect(csv).toContain(",'=1+1,");
  });

  test.each([
    "=1+1",
    "+1",
    "-1",
    "@SUM(1)",
    " =1",
    "\u00a0=1",
    "\ufeff=1",
    "\u200b\u2060=1",
    "\u3000\u2003=1",
    "\t=1",
    "\r=1",
    "\n=1",
    "\tx",
    "\u0001=1",
    " \ufeff \u00a0=1",
    "\uff1d1",
    "\uff0b1",
    "\uff0d1",
    "\uff20A1",
    "\u00a0\uff1d1",
    "\ufe661",
    "\u22121",
    "\u3164=1",
    "\u034f=1",
    "\u2800=1",
  ])("the cell %j is text to a spreadsheet, and read back as it was", async (value) => {
    expect(cell(value)).toMatch(/^"?'/);
    expect(cell(value)).toContain(value.replaceAll('"', '""'));
    const file = `case,outcome,message\r\na,failed,${cell(`${value}x`)}\r\n`;
    expect((await readBack(file)).records[0]?.message).toBe(`${value}x`);
  });

  test.each(["a=1", "\u00a0a", "a -1", "'=1", "(=1)", ""])("the cell %j is left unchanged", (value) => {
    expect(cell(value)).toBe(value);
  });

  test("compare lists every item once across pages, and counts all kinds on each page", async () => {
    const at = (changelist: number, cases: Record<string, string[]>) =>
      app.ask("POST", "/api/results", {
        body: {
          test: "compared",
          changelist,
          externalId: `${changelist}`,
          results: Object.entries(cases).flatMap(([name, outcomes]) =>
            outcomes.map((outcome) => ({ case: name, outcome }))
          ),
        },
      });
    const both = { steady: ["passed"], still: ["failed"], same: ["skipped"] };
    await at(1, {
      ...both,
      broke: ["passed"],
      mended: ["error"],
      left: ["passed"],
      flaky: ["passed"],
      lab: ["passed"],
    });
    await at(2, {
      ...both,
      broke: ["timeout"],
      mended: ["passed"],
      came: ["passed"],
      flaky: ["passed", "failed"],
      lab: ["lab_error"],
    });
    const counts = { newlyFailing: 1, fixed: 1, stillFailing: 1, flaky: 1, labErrors: 1, missing: 1, new: 1 };
    const kinds: [string, string][] = [];
    let cursor = "";
    do {
      const page = await json(
        app.ask("GET", `/api/results/compare?test=compared&base=1&head=2&limit=2${cursor}`),
      );
      expect(page.counts).toEqual(counts);
      kinds.push(...page.items.map((item: { case: string; kind: string }) => [item.case, item.kind]));
      cursor = page.nextCursor === null ? "" : `&cursor=${page.nextCursor}`;
    } while (cursor !== "");
    expect(kinds.toSorted()).toEqual([
      ["broke", "newlyFailing"],
      ["came", "new"],
      ["flaky", "flaky"],
      ["lab", "labErrors"],
      ["left", "missing"],
      ["mended", "fixed"],
      ["still", "stillFailing"],
    ]);
    const fixed = await json(app.ask("GET", "/api/results/compare?test=compared&base=1&head=2&kind=fixed"));
    expect(fixed).toMatchObject({
      items: [{ case: "mended", base: "bad", head: "good", waived: false }],
      counts,
    });
    expect(
      (await json(app.ask("GET", "/api/results/compare?test=compared&base=2&head=2"))).counts.newlyFailing,
    )
      .toBe(0);
  });
});
