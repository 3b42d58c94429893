import { afterAll, beforeAll, expect, test } from "vitest";
import { allRoutes } from "../../app.ts";
import { type TestApp, testApp } from "../helpers/app.ts";

const SECRET = "planted-secret";
/** Places that may contain a secret and are shown to signed-in users only. */
const PLACES = [
  "settings",
  "ignored",
  "sample",
  "scrape-error",
  "scan-error",
  "unread",
  "reading",
  "stdout",
  "stderr",
  "cause",
  "job-reason",
  "reason",
  "payload",
  "output",
];

let app: TestApp;
beforeAll(async () => {
  app = await testApp();
  const { sql } = app;
  const hidden = (place: string) => `${SECRET}-${place}`;
  await sql`
    insert into tests (name, scraper, settings, failures)
    values ('1', 'files', ${JSON.stringify({ url: hidden("settings") })}::text::jsonb, 1)`;
  await sql`
    insert into scrapes (test_id, state, cause, started_at, ignored, ignored_samples, error)
    values (1, 'failed', 'schedule', now(), ${JSON.stringify({ [hidden("ignored")]: 1 })}::text::jsonb,
      ${JSON.stringify([{ place: "p", reason: hidden("sample") }])}::text::jsonb, ${hidden("scrape-error")})`;
  await sql`insert into roots (url, name) values ('file:///x', 'x')`;
  const places = JSON.stringify([{ place: "p", reason: hidden("unread") }]);
  await sql`
    insert into scans (root_id, state, cause, full_read, started_at, updated_at, error, unread, packages_unread)
    values (1, 'failed', 'request', true, now(), now(), ${hidden("scan-error")}, ${places}::text::jsonb, 1)`;
  await sql`insert into packages (name) values ('1')`;
  await sql`
    insert into package_readings (root_id, package_id, unread_reason) values (1, 1, ${hidden("reading")})`;
  await sql`
    insert into jobs (test_id, lab_test, package_url, os, note, state, requested_by, stdout, stderr, reason)
    values (1, 't', 'file:///x/p', 'linux', '', 'failed', 'ada', ${hidden("stdout")}, ${hidden("stderr")},
      ${hidden("job-reason")})`;
  await sql`insert into job_events (job_id, state, cause) values (1, 'failed', ${hidden("cause")})`;
  await sql`insert into environments (keys) values ('{}')`;
  await sql`
    insert into runs (test_id, source, external_id, axis_id, changelist, environment_id, status, reason)
    values (1, 's', 'x', 1, 1, 1, 'lab_error', ${hidden("reason")})`;
  await app.queue.send("scrape", { testId: 1, cause: hidden("payload") as never }, { singletonKey: "1" });
  await sql`update queue.job set output = ${
    JSON.stringify({ message: hidden("output") })
  }::text::jsonb, state = 'failed'`;
});
afterAll(() => app.close());

/** The planted secrets that any reading route returns, by REST and tRPC. */
async function found(signedOut: boolean): Promise<Set<string>> {
  const { routes, extra } = allRoutes();
  const seen = new Set<string>();
  const look = (text: string) => {
    for (const [, place] of text.matchAll(new RegExp(`${SECRET}-([\\w-]+)`, "g"))) seen.add(place!);
  };
  for (const { method, path } of [...routes, ...extra]) {
    if (method !== "GET") continue;
    const asked = path.replace(/\{\w+\}/g, "1");
    for (const query of ["", "?test=1", "?test=1&format=csv", "?state=failed"]) {
      look(await (await app.ask("GET", asked + query, { signedOut })).text());
    }
  }
  for (const { method, procedure, path } of routes) {
    if (method !== "GET") continue;
    const id = path.includes("{id}") ? 1 : "1";
    const input = encodeURIComponent(JSON.stringify({ name: "1", id, test: "1", changelist: 1 }));
    look(await (await app.ask("GET", `/api/trpc/${procedure}?input=${input}`, { signedOut })).text());
  }
  return seen;
}

test("fields that may contain a secret are shown to signed-in users, and on no route to anonymous callers", async () => {
  expect([...await found(false)].toSorted()).toEqual(PLACES.toSorted());
  expect([...await found(true)]).toEqual([]);
});
