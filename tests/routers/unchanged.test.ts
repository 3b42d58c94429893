import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { acquireLease, renewLease } from "../../db/core/leases.ts";
import { JsonText } from "../../db/core/json_text.ts";
import { ReadResult } from "../../routers/read_result.ts";
import { batched } from "../../routers/versions.ts";
import { outputSchema } from "../../routers/output_schema.ts";
import { type TestApp, testApp } from "../helpers/app.ts";
import { settled } from "../helpers/settled.ts";

let app: TestApp;
beforeAll(async () => {
  app = await testApp();
});
afterAll(() => app.close());

async function push(test: string, externalId: string, names: string[], query = ""): Promise<void> {
  const body = names.map((name) => JSON.stringify({ case: name, outcome: "passed" })).join("\n");
  const response = await app.ask(
    "POST",
    `/api/results?test=${test}&changelist=7&externalId=${externalId}${query}`,
    {
      raw: body,
      headers: { "content-type": "application/x-ndjson" },
    },
  );
  expect(response.status, await response.clone().text()).toBeLessThan(300);
}

/** The entity tag of a response; undefined if the response to a request with the tag `known` is a 304. */
async function read(path: string, known?: string): Promise<string | undefined> {
  const response = await app.ask("GET", path, {
    headers: known === undefined ? {} : { "if-none-match": known },
  });
  const body = await response.text();
  if (response.status === 304) {
    expect([body, response.headers.get("etag")]).toEqual(["", known]);
    expect(response.headers.get("content-security-policy")).not.toBeNull();
    return undefined;
  }
  expect(response.status, body).toBe(200);
  return response.headers.get("etag")!;
}

describe("results of a test", () => {
  const path = "/api/results?test=kept&limit=10";

  test("are unchanged until the test's runs or its cases' names change", async () => {
    await push("kept", "1", ["a", "b"]);
    await push("other", "1", ["a"]);
    await settled(app.sql);
    const tag = (await read(path))!;
    expect(await read(path, tag)).toBeUndefined();
    const several = await app.ask("GET", path, { headers: { "if-none-match": `"another", W/${tag}` } });
    expect(several.status).toBe(304);
    await push("other", "2", ["a", "c"]);
    await push("kept", "1", ["a", "b"]);
    await settled(app.sql);
    expect(await read(path, tag)).toBeUndefined();

    const seen = new Set([tag]);
    const changes: [string, () => Promise<unknown>][] = [
      ["another run", () => push("kept", "2", ["a"])],
      ["a run replaced", () => push("kept", "1", ["a"])],
      ["a piece more", () => push("kept", "1", ["c"], "&mode=merge")],
      [
        "a case renamed",
        () =>
          app.ask("POST", "/api/tests/kept/aliases", { body: { from: "a", to: "z" } }).then((response) =>
            expect(response.status).toBeLessThan(300)
          ),
      ],
      [
        "a run expired",
        () => app.sql`update runs set expired_at = now() where external_id = '2' and source = 'push:kept'`,
      ],
    ];
    let last = tag;
    for (const [what, change] of changes) {
      await change();
      await settled(app.sql);
      const next = await read(path, last);
      expect(next, what).toBeDefined();
      expect(seen.has(next!), what).toBe(false);
      seen.add(last = next!);
      expect(await read(path, last), what).toBeUndefined();
    }
  });

  test("change with a transaction that began before the newest one and ends after it", async () => {
    await push("late", "1", ["a"]);
    const asked = "/api/results?test=late";
    const { promise: go, resolve } = Promise.withResolvers<void>();
    const { promise: begun, resolve: isBegun } = Promise.withResolvers<void>();
    const slow = app.sql.begin(async (tx) => {
      await tx`update runs set changelist = 9 where source = 'push:late'`;
      isBegun();
      await go;
    });
    await begun;
    await push("late", "2", ["a"]);
    const tag = (await read(asked))!;
    expect(await read(asked, tag)).toBeUndefined();
    resolve();
    await slow;
    const response = await app.ask("GET", asked, { headers: { "if-none-match": tag } });
    expect(response.status).toBe(200);
    expect((await response.json()).items.map((item: { changelist: number }) => item.changelist)).toEqual([
      9,
      7,
    ]);
  });

  test("by tRPC a single call gets a 304, and a batch is answered in full", async () => {
    const one = `/api/trpc/results.list?input=${encodeURIComponent('{"test":"kept"}')}`;
    const tag = (await read(one))!;
    expect(await read(one, tag)).toBeUndefined();
    const several = `/api/trpc/results.list,results.list?batch=1&input=${
      encodeURIComponent('{"0":{"test":"kept"},"1":{"test":"other"}}')
    }`;
    const response = await app.ask("GET", several, { headers: { "if-none-match": tag } });
    const answers = await response.json();
    expect(
      answers.map((answer: { result: { data: { items: unknown[] } } }) => answer.result.data.items.length),
    )
      .toEqual([(await (await app.ask("GET", "/api/results?test=kept")).json()).items.length, 3]);
  });
});

test("results change when a run moves to another test or is deleted", async () => {
  await push("loser", "1", ["a"]);
  await push("loser", "2", ["a"]);
  const path = "/api/results?test=loser";
  let tag = (await read(path))!;
  for (
    const change of [
      () =>
        app.sql`
      update runs set test_id = (select id from tests where name = 'other')
      where source = 'push:loser' and external_id = '1'`,
      () => app.sql`delete from runs where source = 'push:loser' and external_id = '1'`,
      () => app.sql`delete from runs where source = 'push:loser'`,
    ]
  ) {
    await change();
    const next = await read(path, tag);
    if (next !== undefined) tag = next;
    const { items } = await (await app.ask("GET", path)).json();
    const [row] = await app.sql`
      select count(*)::int as count from runs join tests on tests.id = test_id where name = 'loser'`;
    expect(items.length).toBe(row!.count);
  }
  await push("loser", "3", ["a"]);
  tag = (await read(path))!;
  await app.sql`
    update runs set test_id = (select id from tests where name = 'other') where source = 'push:loser'`;
  expect(await read(path, tag)).toBeDefined();
});

test("a tag applies to one question, and a bad question does not affect others", async () => {
  await push("asked", "1", ["a", "b"]);
  const tag = (await read("/api/results?test=asked"))!;
  expect(await read("/api/results?test=asked&limit=1", tag)).toBeDefined();
  const missing = await app.ask("GET", "/api/results?test=missing", { headers: { "if-none-match": tag } });
  expect(missing.status).toBe(404);
  const nul = await app.ask("GET", "/api/results?test=%00", { headers: { "if-none-match": tag } });
  expect(nul.status).toBe(400);
});

test("a list is complete in a stream of lines, and as the one call of a batch", async () => {
  await push("streamed", "1", ["a", "b"]);
  const path = `/api/trpc/results.list?batch=1&input=${encodeURIComponent('{"0":{"test":"streamed"}}')}`;
  const batch = await (await app.ask("GET", path)).json();
  expect(batch[0].result.data.items).toHaveLength(2);
  const stream = await app.ask("GET", path, { headers: { "trpc-accept": "application/jsonl" } });
  expect([stream.status, (await stream.text()).match(/"case":/g)]).toEqual([200, ['"case":', '"case":']]);
});

test("lists are complete in a batch with a bad call, and as JSON on a route with CSV", async () => {
  await push("whole", "1", ["a", "b"]);
  const batch = `/api/trpc/results.list,tests.get?batch=1&input=${
    encodeURIComponent('{"0":{"test":"whole"},"1":{"name":"not there"}}')
  }`;
  const mixed = await (await app.ask("GET", batch)).json();
  expect(mixed[0].result.data.items).toHaveLength(2);
  expect(mixed[1].error.data.code).toBe("NOT_FOUND");
  const json = await app.ask("GET", "/api/results?test=whole&format=json");
  expect((await json.json()).items).toHaveLength(2);
});

test("builds are unchanged until a scan's batch or the roots change", async () => {
  const { sql } = app;
  await sql`insert into packages (name) values ('calc')`;
  await sql`insert into roots (url, name) values ('file:///drop', 'drop')`;
  const path = "/api/dvs/packages/calc/changelists";
  const before = (await read(path))!;
  expect(await read(path, before)).toBeUndefined();
  const lease = (await acquireLease(sql, "scan", "test", 60))!;
  const begun = (await read(path))!;
  await sql.begin(async (tx) => {
    await tx`insert into builds (root_id, package_id, changelist, file, first_seen) select roots.id, packages.id, 5, 'f', now() from roots, packages`;
    await renewLease(tx, lease, 60);
  });
  const after = await read(path, begun);
  expect(after).toBeDefined();
  expect(await read(path, after)).toBeUndefined();
  await sql`update roots set name = 'renamed'`;
  expect(await read(path, after)).toBeDefined();
});

test("a read without a version is tagged by its hash", async () => {
  const tag = (await read("/api/tests"))!;
  expect(await read("/api/tests", tag)).toBeUndefined();
  expect((await app.ask("GET", "/api/tests", { headers: { "if-none-match": "*" } })).status).toBe(304);
  await push("one-more", "1", ["a"]);
  expect(await read("/api/tests", tag)).toBeDefined();
});

test("questions during a query are batched into the next query, and a failed query returns undefined", async () => {
  const asked: string[][] = [];
  const answers: (() => void)[] = [];
  const ask = batched((keys) => {
    asked.push(keys);
    return new Promise<Map<string, string>>((resolve, reject) =>
      answers.push(() =>
        keys.includes("bad")
          ? reject(new Error("bad"))
          : resolve(new Map(keys.map((key) => [key, `<${key}>`])))
      )
    );
  });
  const first = ask("a");
  const later = Promise.all([ask("b"), ask("c"), ask("b")]);
  expect(asked).toEqual([["a"]]);
  answers[0]!();
  expect(await first).toBe("<a>");
  await Promise.resolve();
  expect(asked).toEqual([["a"], ["b", "c"]]);
  const bad = Promise.all([ask("bad"), ask("good")]);
  answers[1]!();
  expect(await later).toEqual(["<b>", "<c>", "<b>"]);
  answers[2]!();
  expect(await bad).toEqual([undefined, undefined]);
  const good = ask("d");
  answers[3]!();
  expect(await good).toBe("<d>");
});

test("with output validation, an output that its schema would change is an error", () => {
  const { parse } = outputSchema(z.object({ a: z.number() }));
  expect(parse({ a: 1 })).toEqual({ a: 1 });
  const fresh = (text: string) => ReadResult.fresh(new JsonText(text), undefined);
  expect(parse(fresh('{"a":1}'))).toBeInstanceOf(ReadResult);
  expect(parse(ReadResult.unchanged('"t"'))).toBeInstanceOf(ReadResult);
  for (
    const wrong of [{ a: 1, secret: "x" }, { a: "1" }, fresh('{"a":1,"b":2}'), fresh("{}")]
  ) {
    expect(() => parse(wrong)).toThrow();
  }
});
