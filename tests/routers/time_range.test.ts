import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";
import { allRoutes } from "../../app.ts";
import { moment } from "../../schemas/common.ts";
import { type TestApp, testApp } from "../helpers/app.ts";

let app: TestApp;
beforeAll(async () => {
  app = await testApp({ RATE_READS: "1000000", RATE_WRITES: "1000000" });
});
afterAll(() => app.close());

const BAD = [
  "0000-01-01T00:00:00Z",
  "0000-12-31T23:59:59Z",
  "0001-01-01T00:00:00+14:00",
  "0001-01-01T00:00:00+00:01",
  "9999-12-31T23:59:59-12:00",
  "9999-12-31T23:59:59.9999999Z",
  "2024-01-01T00:00:00+14:01",
  "2024-01-01T00:00:00-23:59",
  "2024-01-01T00:00:00+99:99",
  "2024-02-30T00:00:00Z",
  "2024-01-01T24:00:01Z",
  "2024-01-01T00:00:60Z",
  "+012024-01-01T00:00:00Z",
  "-000001-01-01T00:00:00Z",
  "10000-01-01T00:00:00Z",
  "2024-01-01",
  "infinity",
  "now",
];
const GOOD = [
  "0001-01-01T00:00:00Z",
  "0001-01-01T14:00:00+14:00",
  "9999-12-31T23:59:59Z",
  "9999-12-31T09:59:59-14:00",
  "2024-02-29T12:00:00.123456+05:30",
];

interface Shape {
  format?: string;
  anyOf?: Shape[];
}
const isTime = ({ format, anyOf = [] }: Shape): boolean => format === "date-time" || anyOf.some(isTime);

const { routes, extra } = allRoutes();
const fields = [...routes, ...extra].flatMap((route) => {
  if (route.input === undefined) return [];
  const { properties = {} } = z.toJSONSchema(route.input, { io: "input", unrepresentable: "any" });
  return Object.entries(properties).filter(([, shape]) => isTime(shape as Shape)).map(([field]) => ({
    route,
    field,
  }));
});

test("this test covers every time field of an input", () => {
  expect(fields.map(({ route, field }) => `${route.method} ${route.path} ${field}`)).toEqual([
    "GET /api/audit from",
    "GET /api/audit to",
    "POST /api/results committedAt",
    "POST /api/results startedAt",
    "POST /api/results finishedAt",
    "POST /api/results committedAt",
    "POST /api/results startedAt",
    "POST /api/results finishedAt",
  ]);
});

test("a time out of range is a 400 that names its field, and one in range is accepted, by REST and tRPC", async () => {
  for (const { route, field } of fields) {
    const isRead = route.method === "GET";
    const rest = isRead ? {} : { test: "t", changelist: 1, results: [{ case: "a", outcome: "passed" }] };
    const ask = async (value: string) => {
      const query = new URLSearchParams({ [field]: value });
      if (isRead) return await app.ask("GET", `${route.path}?${query}`);
      if ("procedure" in route) {
        return await app.ask("POST", route.path, { body: { ...rest, [field]: value } });
      }
      return await app.ask("POST", `${route.path}?test=t&changelist=1&${query}`, {
        raw: '<testsuite><testcase name="a"/></testsuite>',
        headers: { "content-type": "application/xml", "x-file-name": "r.xml" },
      });
    };
    for (const value of BAD) {
      const response = await ask(value);
      const { issues } = await response.json();
      expect([field, value, response.status, issues?.[0]?.path]).toEqual([field, value, 400, field]);
    }
    for (const value of GOOD) {
      const response = await ask(value);
      await response.body?.cancel();
      expect([field, value, response.status < 300]).toEqual([field, value, true]);
    }
    if (!("procedure" in route)) continue;
    const input = JSON.stringify({ ...rest, [field]: "0001-01-01T00:00:00+14:00" });
    const path = `/api/trpc/${route.procedure}`;
    const response = isRead
      ? await app.ask("GET", `${path}?input=${encodeURIComponent(input)}`)
      : await app.ask("POST", path, { raw: input, headers: { "content-type": "application/json" } });
    const { error } = await response.json();
    expect([response.status, error.data.issues[0].path]).toEqual([400, field]);
  }
});

test("times at the ends of the range are stored and returned unchanged", async () => {
  for (const startedAt of ["0001-01-01T00:00:00.000Z", "9999-12-31T23:59:59.000Z"]) {
    const body = {
      test: "ends",
      changelist: 1,
      externalId: startedAt,
      results: [{ case: "a", outcome: "passed" }],
    };
    const pushed = await (await app.ask("POST", "/api/results", { body: { ...body, startedAt } })).json();
    const run = await (await app.ask("GET", `/api/runs/${pushed.runId}`)).json();
    expect(run.startedAt).toBe(startedAt);
  }
});

test("an implausible time in a pushed file is ignored", async () => {
  const times = [...BAD, "275760-09-13T00:00:00Z", "1e300", "NaN", "253402300800", ""];
  for (const time of times) {
    const files: [string, string][] = [
      ["junit.xml", `<testsuite timestamp="${time}"><testcase name="a"/></testsuite>`],
      [
        "Test.xml",
        `<Site><Testing><StartTestTime>${time}</StartTestTime><TestList/><Test Status="passed"><Name>a</Name></Test><EndTestTime>${time}</EndTestTime></Testing></Site>`,
      ],
      [
        "lnt.json",
        JSON.stringify({
          format_version: "2",
          machine: { name: "m" },
          run: { start_time: time, end_time: time },
          tests: [{ name: "a", compile_time: 1 }],
        }),
      ],
    ];
    for (const [name, raw] of files) {
      const response = await app.ask("POST", `/api/results?test=files&changelist=1&externalId=${name}`, {
        raw,
        headers: { "content-type": "application/octet-stream", "x-file-name": name },
      });
      const body = await response.json();
      expect([name, time, response.status, body.detail]).toEqual([
        name,
        time,
        expect.toSatisfy((status) => status < 300),
        undefined,
      ]);
      const { startedAt } = await (await app.ask("GET", `/api/runs/${body.runId}`)).json();
      if (startedAt !== null) {
        expect([name, time, moment.safeParse(startedAt).success]).toEqual([name, time, true]);
      }
    }
  }
});
