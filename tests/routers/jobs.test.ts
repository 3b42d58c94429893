import { afterAll, beforeAll, expect, test } from "vitest";
import { createHubClient } from "../../client.ts";
import { type TestApp, testApp } from "../helpers/app.ts";

const PACKAGE = "calc_main_Release_Linux_AMD64_compiler";
const CHANGELISTS = [11, 12, 13];
let app: TestApp;
beforeAll(async () => {
  app = await testApp();
  const { sql } = app;
  const submit = JSON.stringify({ os: "linux", pool: "linux", package: PACKAGE });
  await sql`
    insert into tests (name, scraper, submit) values
      ('calc', 'vrl', ${submit}::text::jsonb), ('pushed', 'push', ${submit}::text::jsonb)`;
  await sql`insert into roots (url, name) values ('file:///drop', 'drop')`;
  await sql`insert into packages (name) values (${PACKAGE})`;
  await sql`insert into package_readings (root_id, package_id, read_at) values (1, 1, now())`;
  await sql`
    insert into builds (root_id, package_id, changelist, revision, file, first_seen)
    select 1, 1, number, 0, number || '.tgz', now() from unnest(${CHANGELISTS}::int[]) as number`;
  await sql`
    insert into changelists (axis_id, number, label)
    select 1, number, md5(number::text) from unnest(${CHANGELISTS}::int[]) as number`;
});
afterAll(() => app.close());

async function submit(body: Record<string, unknown>, headers: Record<string, string> = {}) {
  const response = await app.ask("POST", "/api/vrl/jobs", { body: { test: "calc", ...body }, headers });
  return { status: response.status, body: await response.json() };
}

test("one request creates a job at each changelist, once per Idempotency-Key", async () => {
  const headers = { "idempotency-key": "several" };
  const first = await submit({ changelists: CHANGELISTS }, headers);
  expect(first.status).toBe(201);
  expect(first.body.jobs.map((job: { changelist: number }) => job.changelist)).toEqual(CHANGELISTS);
  expect(first.body.jobs.every((job: { state: string }) => job.state === "queued")).toBe(true);
  expect(await submit({ changelists: CHANGELISTS }, headers)).toEqual({ ...first, status: 200 });
  expect((await submit({ changelists: [11] }, headers)).status).toBe(409);
  const queued = await app
    .sql`select singleton_key from queue.job where name = 'submit_job' order by created_on`;
  expect(queued.map((row) => Number(row.singleton_key)).sort((a, b) => a - b)).toEqual(
    first.body.jobs.map((job: { id: number }) => job.id),
  );
});

test("labels are accepted in place of changelists", async () => {
  const label = async (number: number) =>
    `label:${(await app.sql`select label from changelists where number = ${number}`)[0]!.label}`;
  const { status, body } = await submit({ changelists: [await label(12), 11, await label(13)] });
  expect(status).toBe(201);
  expect(body.jobs.map((job: { changelist: number }) => job.changelist)).toEqual([12, 11, 13]);
  expect((await submit({ changelists: ["label:nope"] })).status).toBe(404);
});

test("faults are reported by changelist, and too many or no changelists are rejected", async () => {
  const lacking = await submit({ changelists: [11, 99, 12] });
  expect(lacking.status).toBe(404);
  expect(lacking.body.issues).toEqual([{ path: "changelists.1", message: "has no available build at 99" }]);
  const wrong = await submit({ changelists: [11, "x", 0] });
  expect(wrong.status).toBe(400);
  expect(wrong.body.issues.map((issue: { path: string }) => issue.path)).toEqual([
    "changelists.1",
    "changelists.2",
  ]);
  for (const changelists of [[], Array.from({ length: 201 }, (_, at) => at + 1), "11"]) {
    expect((await submit({ changelists })).status).toBe(400);
  }
});

test("tRPC creates jobs too", async () => {
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    (request) => app.fetch(request),
  );
  try {
    const hub = createHubClient(`http://127.0.0.1:${server.addr.port}`, { token: app.token });
    const made = await hub.jobs.submit.mutate({ test: "calc", changelists: CHANGELISTS });
    expect("jobs" in made && made.jobs.map((job) => job.changelist)).toEqual(CHANGELISTS);
    const one = await hub.jobs.submit.mutate({ test: "calc", changelist: 11 });
    expect("jobs" in one ? undefined : one.changelist).toBe(11);
  } finally {
    await server.shutdown();
  }
});

test("a job of a test without a scraper has a warning in the response", async () => {
  const one = await submit({ test: "pushed", changelist: 11 });
  expect(one.body.warnings).toEqual([expect.stringContaining("not scraped from the lab")]);
  const several = await submit({ test: "pushed", changelists: [11, 12] });
  expect(several.body.warnings).toEqual(one.body.warnings);
  expect((await submit({ changelist: 11 })).body.warnings).toEqual([]);
});

test("the reason of a waiting job is shown to signed-in users only", async () => {
  const { body: { id } } = await submit({ changelist: 11 });
  await app.sql`update jobs set reason = 'the lab is down' where id = ${id}`;
  for (const [path, of] of [[`/api/vrl/jobs/${id}`, "one"], ["/api/vrl/jobs?limit=1", "list"]] as const) {
    const reasons = [];
    for (const signedOut of [false, true]) {
      const body = await (await app.ask("GET", path, { signedOut })).json();
      reasons.push(of === "one" ? body.reason : body.items[0].reason);
    }
    expect(reasons).toEqual(["the lab is down", null]);
  }
});
