import { afterAll, beforeAll, expect, test } from "vitest";
import { scrapers as registered } from "../scrapers/mod.ts";
import { createHubClient } from "../client.ts";
import { HOME, type TestApp, testApp } from "./helpers/app.ts";

let app: TestApp;
let server: Deno.HttpServer<Deno.NetAddr>;
let url: string;
beforeAll(async () => {
  app = await testApp();
  server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    (request) => app.fetch(request),
  );
  url = `http://127.0.0.1:${server.addr.port}`;
});
afterAll(async () => {
  await server.shutdown();
  await app.close();
});

test("the typed client reaches every router", async () => {
  const hub = createHubClient(url, { token: app.token });
  await hub.tests.create.mutate({ name: "typed", scraper: "push" });
  const pushed = await hub.results.push.mutate({
    test: "typed",
    changelist: 5,
    results: [{ case: "a", outcome: "failed" }],
  });
  expect(pushed.counts.failed).toBe(1);
  const [packages, tests, runs, results, jobs, scrapers, tasks, ready] = await Promise.all([
    hub.dvs.packages.query({}),
    hub.tests.list.query({}),
    hub.runs.list.query({ test: "typed" }),
    hub.results.list.query({ test: "typed" }),
    hub.jobs.list.query({}),
    hub.scrapers.list.query({}),
    hub.tasks.schedule.query({}),
    hub.health.ready.query({}),
  ]);
  const [who, tokens, audit] = await Promise.all([
    hub.auth.me.query({}),
    hub.auth.tokens.query({}),
    hub.audit.list.query({ action: "test.create" }),
  ]);
  expect([who.name, tokens.items, audit.items[0]?.object]).toEqual(["admin", [], "test typed"]);
  expect(packages.items).toEqual([]);
  expect(tests.items.map((one) => one.name)).toEqual(["typed"]);
  expect(runs.items[0]?.changelist).toBe(5);
  expect(results.items[0]?.outcome).toBe("failed");
  expect([jobs.items.length, scrapers.items.length, tasks.items.length, ready.status]).toEqual([
    0,
    registered.size,
    5,
    "ok",
  ]);
});

test("errors have their code and issues", async () => {
  await expect(createHubClient(url).tests.create.mutate({ name: "x", scraper: "push" })).rejects
    .toMatchObject({ data: { code: "UNAUTHORIZED", httpStatus: 401 } });
  await expect(createHubClient(url).tests.get.query({ name: "nobody" })).rejects.toMatchObject({
    data: { code: "NOT_FOUND" },
  });
});

test("a wrong field name does not compile, the right one does", async () => {
  // Outside the project, whose sources other tests list at the same time.
  const folder = await Deno.makeTempDir();
  try {
    const write = (name: string, field: string) =>
      Deno.writeTextFile(
        `${folder}/${name}.ts`,
        `import { createHubClient } from "file://${HOME}/client.ts";\nconst hub = createHubClient("http://x");\nexport const value = (await hub.runs.get.query({ id: 1 })).${field};\n`,
      );
    await write("right", "changelist");
    await write("wrong", "changelits");
    const check = (name: string) =>
      new Deno.Command(Deno.execPath(), {
        args: ["check", "--config", `${HOME}/deno.json`, `${folder}/${name}.ts`],
        cwd: HOME,
        env: { NO_COLOR: "1" },
      }).output();
    expect((await check("right")).success).toBe(true);
    const wrong = await check("wrong");
    expect(wrong.success).toBe(false);
    expect(new TextDecoder().decode(wrong.stderr)).toContain("changelits");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}, 600_000);
