import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { allRoutes } from "../app.ts";
import { openApi } from "../routers/rest/openapi.ts";
import { type TestApp, testApp } from "./helpers/app.ts";
import { retainedBytes } from "./helpers/heap.ts";

const REQUESTS = 20_000;
/** Longest a request may take, in ms, on a machine that answers the usual request in less than `SLOWEST_MS / SLOWEST_RATIO`. */
const SLOWEST_MS = 1000;
/** Longest a request may take on a slower machine, in median requests of the same run. */
const SLOWEST_RATIO = 200;
/** A request that is inherently slow is slow each time. */
const TRIES = 3;
/** Permitted growth of used memory, in bytes, while half of the requests are made: caches fill. */
const GROWTH = 10 << 20;

interface Schema {
  type?: string | string[];
  enum?: unknown[];
  anyOf?: Schema[];
  properties?: Record<string, Schema>;
  items?: Schema;
  $ref?: string;
}
interface Operation {
  parameters?: { name: string; in: string; schema?: Schema }[];
  requestBody?: { content: Record<string, { schema?: Schema }> };
}

let app: TestApp;
beforeAll(async () => {
  app = await testApp({ RATE_READS: "100000000", RATE_WRITES: "10000000" });
  await app.ask("POST", "/api/tests", { body: { name: "t", scraper: "push" } });
  for (let changelist = 1; changelist <= 20; changelist++) {
    const outcome = changelist > 10 ? "failed" : "passed";
    const results = [{ case: "a", outcome }, { case: "b", outcome: "passed" }];
    await app.ask("POST", "/api/results", {
      body: { test: "t", changelist, package: "p", externalId: `${changelist}`, results },
    });
  }
});
afterAll(() => app.close());

const odd = fc.oneof(
  fc.constantFrom(
    "",
    "0",
    "-1",
    "1e99",
    "99999999999999999999",
    "NaN",
    "null",
    "true",
    "[]",
    "{}",
    "\u0000",
    "../../x",
  ),
  fc.constantFrom(
    "'; drop table runs; --",
    "%",
    "%zz",
    "a,b,c",
    "os=linux",
    "😀",
    "\ud800",
    "a\nb",
    "*",
    ")(uid=*",
  ),
  fc.string({ unit: "binary", maxLength: 40 }),
  fc.string({ minLength: 900, maxLength: 2500 }),
);
const known = fc.constantFrom(
  "t",
  "p",
  "a",
  "1",
  "2",
  "10",
  "20",
  "passed",
  "failed",
  "main",
  "push",
  "true",
  "2024-01-01T00:00:00Z",
);

function valueOf(schema: Schema | undefined): fc.Arbitrary<unknown> {
  const { type, enum: values, anyOf, properties, items } = schema ?? {};
  const fitting: fc.Arbitrary<unknown> = values !== undefined
    ? fc.constantFrom(...values)
    : anyOf !== undefined
    ? fc.oneof(...anyOf.map(valueOf))
    : type === "integer" || type === "number"
    ? fc.oneof(fc.integer({ min: 1, max: 30 }), fc.integer(), fc.double())
    : type === "boolean"
    ? fc.boolean()
    : type === "array"
    ? fc.array(valueOf(items), { maxLength: 5 })
    : type === "object"
    ? fc.record(
      Object.fromEntries(Object.entries(properties ?? {}).map(([name, one]) => [name, valueOf(one)])),
      {
        requiredKeys: [],
      },
    )
    : known;
  return fc.oneof({ weight: 6, arbitrary: fitting }, { weight: 1, arbitrary: odd }, {
    weight: 1,
    arbitrary: fc.jsonValue({ maxDepth: 3 }),
  });
}

interface Asked {
  path: Record<string, string>;
  query: Record<string, string | undefined>;
  type: string | undefined;
  body: string | undefined;
  signedOut: boolean;
}

function askedOf({ parameters = [], requestBody }: Operation): fc.Arbitrary<Asked> {
  const place = (where: string) =>
    Object.fromEntries(
      parameters.filter((one) => one.in === where).map(({ name, schema }) => [name, textOf(schema)]),
    );
  const types = Object.keys(requestBody?.content ?? {});
  const schema = requestBody?.content["application/json"]?.schema;
  const body = types.length === 0 ? fc.constant(undefined) : fc.oneof(
    {
      weight: 8,
      arbitrary: valueOf(schema ?? { type: "object" }).map((value) => JSON.stringify(value) ?? ""),
    },
    { weight: 1, arbitrary: odd },
    { weight: 1, arbitrary: fc.constant('<testsuite><testcase name="x"/></testsuite>') },
  );
  return fc.record({
    path: fc.record(place("path")),
    query: fc.record(place("query"), { requiredKeys: [] }),
    type: types.length === 0
      ? fc.constant(undefined)
      : fc.oneof({ weight: 5, arbitrary: fc.constant("application/json") }, {
        weight: 1,
        arbitrary: fc.constantFrom(...types, "text/html", "nonsense"),
      }),
    body,
    signedOut: fc.boolean().map((value) => value),
  });
}

function textOf(schema: Schema | undefined): fc.Arbitrary<string> {
  const text = valueOf(schema).map((value) =>
    typeof value === "string" ? value : JSON.stringify(value) ?? ""
  );
  return fc.oneof({ weight: 3, arbitrary: known }, { weight: 3, arbitrary: text });
}

test(
  `${REQUESTS} requests made from the OpenAPI document: no failure, no stack, none slow, memory flat`,
  async () => {
    const { routes, extra } = allRoutes();
    const document = openApi(routes, extra) as unknown as {
      paths: Record<string, Record<string, Operation>>;
    };
    const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => ({
        path,
        method: method.toUpperCase(),
        operation,
      }))
    );
    const each = Math.ceil(REQUESTS / operations.length);
    const statuses = new Map<number, number>();
    const bad: string[] = [];
    const times: number[] = [];
    const slow: { ms: number; line: string }[] = [];
    let count = 0;
    let before = 0;
    for (const round of [1, 2]) {
      for (const { path, method, operation } of operations) {
        const samples = fc.sample(askedOf(operation), {
          numRuns: Math.ceil(each / 2),
          seed: round * 7919 + path.length,
        });
        for (const asked of samples) {
          const filled = path.replace(
            /\{(\w+)\}/g,
            (_, name) => encodeURIComponent((asked.path[name] ?? "x").toWellFormed()) || "%20",
          );
          const query = new URLSearchParams(
            Object.entries(asked.query).map(([name, value]) => [name, (value ?? "").toWellFormed()]),
          );
          const url = `${filled}${query.size === 0 ? "" : `?${query}`}`;
          const ask = async () => {
            const began = performance.now();
            const response = await app.ask(method, url, {
              signedOut: asked.signedOut,
              ...(asked.body === undefined || asked.body === "" ? {} : { raw: asked.body.toWellFormed() }),
              headers: asked.type === undefined ? {} : { "content-type": asked.type },
            });
            return { response, text: await response.text(), ms: performance.now() - began };
          };
          const { response, text, ms: first } = await ask();
          let ms = first;
          for (let tries = 1; ms > SLOWEST_MS && tries < TRIES; tries++) ms = Math.min(ms, (await ask()).ms);
          times.push(ms);
          statuses.set(response.status, (statuses.get(response.status) ?? 0) + 1);
          count++;
          const isStack = /\n\s+at |PostgresError|node_modules|\.ts:\d/.test(text);
          const line = `${method} ${url} ${asked.body ?? ""} -> ${response.status} in ${
            Math.round(ms)
          } ms: ${text}`
            .slice(0, 600);
          if (response.status >= 500 || isStack) bad.push(line);
          else if (ms > SLOWEST_MS) slow.push({ ms, line });
        }
      }
      if (round === 1) {
        before = retainedBytes();
      }
    }
    expect(bad).toEqual([]);
    const median = times.sort((a, b) => a - b)[times.length >> 1]!;
    const slowest = Math.max(SLOWEST_MS, SLOWEST_RATIO * median);
    expect(slow.filter((one) => one.ms > slowest).map((one) => one.line)).toEqual([]);
    expect(count).toBeGreaterThanOrEqual(REQUESTS);
    // Not all requests were rejected at input validation.
    expect(statuses.get(200)).toBeGreaterThan(REQUESTS / 10);
    expect(retainedBytes() - before).toBeLessThan(GROWTH);
  },
  1_800_000,
);
